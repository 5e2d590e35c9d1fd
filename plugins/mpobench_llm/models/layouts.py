"""The layout in which a model's log-probabilities are right, found by trying it against plain forward passes.

What a model's layers mix positions by is written in no one place: windows, chunks, convolutions, states, biases by
distance, positions counted inside. So each layout is tried on random tokens, in single precision, and again on rows as
long as the longest that is to come. Packing is tried only where the configuration declares no window or other kind of
layer, whose effect on a long row may be small.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from mpobench import RequestError
from mpobench.errors import one_line
from mpobench_llm.models.batch import Layout, collate
from mpobench_llm.models.exactness import (
    HALF_TOLERANCE,
    TOLERANCE,
    base_of,
    in_single_precision,
    model_name,
)
from mpobench_llm.models.head import Head, token_logps
from mpobench_llm.models.tokens import Row

Shape: TypeAlias = tuple[int, tuple[int, ...]]
"""Lengths of a prompt and of its completions."""

_PROBE: tuple[Shape, ...] = ((13, (9, 17)), (3, (5, 2)), (1, (1, 20)), (7, (12, 6)), (19, (3, 10)))
"""Shapes that are always tried. The second keeps a long row company."""

_PROBE_LENGTH = 30
"""Number of tokens of the longest sequence among them."""

_WINDOW = re.compile(r"window|chunk")
_NO_WINDOW = re.compile(r"_layers$|feed_forward")


@dataclass
class _Tried:
    """The outcome for a model.

    Attributes:
        layout: The first layout that is right.
        longest: Number of tokens of the longest sequence on which that was seen.
    """

    layout: Layout
    longest: int


_tried: weakref.WeakKeyDictionary[Any, _Tried] = weakref.WeakKeyDictionary()


@torch.no_grad()
def layout_for(model: Any, head: Head, rows: Sequence[Row] = ()) -> Layout:
    """The fastest layout in which a model's log-probabilities of some rows are right.

    Args:
        model: Model without its head, with an adapter or not.
        head: Its head.
        rows: Rows that it is to read; of these, only the lengths of the longest are looked at.

    Raises:
        RequestError: If there is none, or if the model reads tokens that follow.
    """
    base = base_of(model)
    tried = _tried.get(base)
    if tried is None:
        with in_single_precision(base) as exact:
            trial = _Trial(base, head.single() if exact else head, exact)
            trial.refuse_lookahead()
            tried = _Tried(trial.first_right(_PROBE, "packed"), _PROBE_LENGTH)
        _tried[base] = tried
    lengths = [(len(row.prompt), tuple(map(len, row.completions))) for row in rows]
    prompt, sides = max(lengths, key=lambda shape: shape[0] + max(shape[1]), default=_PROBE[0])
    if prompt + max(sides) > tried.longest:
        with in_single_precision(base) as exact:
            trial = _Trial(base, head.single() if exact else head, exact)
            tried.layout = trial.first_right(((prompt, (*sides, *sides)[:2]), _PROBE[1]), tried.layout)
        tried.longest = prompt + max(sides)
    return tried.layout


@dataclass(frozen=True)
class _Trial:
    """A model that is tried on random tokens.

    Attributes:
        model: Model without its head.
        head: Its head, in the model's precision.
        exact: Whether that is single precision.
    """

    model: Any
    head: Head
    exact: bool

    def refuse_lookahead(self) -> None:
        """Refuses a model whose log-probability of a token depends on those that follow."""
        one = Row(*_random_row(self.model, _PROBE[0], 0))
        sequence = one.completions[1]
        other = Row(one.prompt, ((*sequence[:-2], *one.completions[0][:2]),))
        before, after = (
            self._plain(row.prompt, row.completions[0])[: len(sequence) - 2]
            for row in (Row(one.prompt, (sequence,)), other)
        )
        if not self._same(before, after):
            raise RequestError(
                f"{model_name(self.model)} is no causal model, it reads the tokens that follow: choose another model, "
                "or one with is_decoder in its config.json"
            )

    def first_right(self, shapes: Sequence[Shape], first: Layout) -> Layout:
        """The first layout, from one on, in which rows of these shapes have the right log-probabilities."""
        rows = [Row(*_random_row(self.model, shape, number)) for number, shape in enumerate(shapes)]
        expected = torch.cat([self._plain(row.prompt, side) for row in rows for side in row.completions])
        packs = first == "packed" and not _declares_more(self.model.config.get_text_config())
        problem = ""
        layouts: tuple[Layout, ...] = ("packed", "apart") if packs else ("apart",)
        for layout in layouts:
            try:
                found = self._together(rows, layout)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # noqa: BLE001  # of a model that takes no such mask
                problem = one_line(error)
                continue
            if self._same(found, expected):
                return layout
            problem = f"a token's log-probability is off by {(found - expected).abs().max():.2g} nats"
        raise RequestError(
            f"{model_name(self.model)} does not read sequences in a batch as it reads them alone ({problem}): "
            "choose another model"
        )

    def _same(self, found: torch.Tensor, expected: torch.Tensor) -> bool:
        errors = (found - expected).abs()
        return bool(errors.max() <= TOLERANCE if self.exact else errors.median() <= HALF_TOLERANCE)

    def _plain(self, prompt: Sequence[int], completion: Sequence[int]) -> torch.Tensor:
        """Log-probabilities of a completion's tokens, by a forward pass of this sequence alone."""
        ids = torch.tensor([[*prompt, *completion]], device=self.model.device)
        try:
            states = self.model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise RequestError(
                f"{model_name(self.model)} cannot read {ids.shape[1]} tokens ({one_line(error)}): "
                "choose another model, or a smaller training.max_length"
            ) from error
        return token_logps(states, self.head, ids[0, len(prompt) :])

    def _together(self, rows: Sequence[Row], layout: Layout) -> torch.Tensor:
        """The same of all completions of some rows, by one forward pass."""
        dtype = torch.float32 if self.exact else self.head.dtype
        batch = collate(rows, dtype, layout).to(self.model.device)
        states = self.model(**batch.inputs, use_cache=False).logits.flatten(0, 1)[batch.sources]
        return token_logps(states, self.head, batch.targets)


def _random_row(model: Any, shape: Shape, seed: int) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """A prompt and completions of these lengths."""
    prompt, sides = shape
    words = model.config.get_text_config().vocab_size
    generator = torch.Generator().manual_seed(seed)
    first, *others = (
        tuple(torch.randint(words, (length,), generator=generator).tolist()) for length in (prompt, *sides)
    )
    return first, tuple(others)


def _declares_more(config: Any) -> bool:
    """Whether a configuration declares more than plain attention: another kind of layer, a window, chunks."""
    layers = getattr(config, "layer_types", None)
    if layers is not None:
        return set(layers) != {"full_attention"}
    return any(
        isinstance(value, int) and value > 0 and _WINDOW.search(name) and not _NO_WINDOW.search(name)
        for name, value in vars(config).items()
    )
