"""Sequences that grow token by token: with the model's cache where that is right, without it elsewhere.

Caches hold keys, windows of them, states of convolutions and recurrences, and not all of them bear padding on the left,
or rows that leave. So a cache is tried once for each model, against plain forward passes.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from mpobench_llm.models.exactness import HALF_TOLERANCE, base_of, in_single_precision

_PROMPTS, _MORE = (5, 1, 14), 4
"""Lengths of the prompts on which a cache is tried, and number of tokens that follow."""

_TOLERANCE = 1e-3
"""Largest error of any word's log-probability in single precision, in nats."""


class CachedDecoder:
    """Sequences with the model's cache, padded on the left, so that all continue from the last column.

    Args:
        model: Causal language model of transformers, in evaluation mode.
        prompts: Token ids of the prompts.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        longest = max(map(len, prompts))
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        self._mask = torch.zeros_like(ids, device=model.device)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            self._mask[row, longest - len(prompt) :] = 1
        self._model, self._ids = model, ids.to(model.device)
        self._cache: Any = None
        self._positions = (self._mask.cumsum(1) - 1).clamp(min=0)
        known = inspect.signature(base_of(model).forward).parameters
        self._cache_name = "past_key_values" if "past_key_values" in known else "cache_params"
        self._known = {"position_ids", "logits_to_keep"} & known.keys()

    def logits(self) -> torch.Tensor:
        """Logits of the next tokens, ``(rows, vocabulary)``, float32."""
        optional = {"position_ids": self._positions, "logits_to_keep": 1}
        inputs = {name: optional[name] for name in self._known}
        if self._cache is None or self._cache_name == "past_key_values":  # states have forgotten the padding
            inputs["attention_mask"] = self._mask
        out = self._model(input_ids=self._ids, use_cache=True, **inputs, **{self._cache_name: self._cache})
        self._cache = out[self._cache_name]
        logits: torch.Tensor = out.logits[:, -1].float()
        return logits

    def append(self, tokens: torch.Tensor, kept: torch.Tensor) -> None:
        """Appends tokens.

        Args:
            tokens: Next token of each row, ``(rows,)``.
            kept: Numbers of the rows that go on. The others leave.
        """
        if len(kept) < len(tokens):
            self._cache.reorder_cache(kept)
            self._mask, self._positions = self._mask[kept], self._positions[kept]
        self._ids = tokens[kept, None]
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(kept), 1)], 1)
        self._positions = self._positions[:, -1:] + 1


class RecomputingDecoder:
    """The same without a cache: every token costs a forward pass of all that came before it."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        self._model, self._sequences = model, [list(prompt) for prompt in prompts]

    def logits(self) -> torch.Tensor:
        """Logits of the next tokens, ``(rows, vocabulary)``, float32."""
        lengths = torch.tensor([len(sequence) for sequence in self._sequences])
        ids = torch.zeros(len(lengths), int(lengths.max()), dtype=torch.long)
        for row, sequence in enumerate(self._sequences):
            ids[row, : len(sequence)] = torch.tensor(sequence)
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        out = self._model(
            input_ids=ids.to(self._model.device), attention_mask=mask.to(self._model.device), use_cache=False
        )
        logits: torch.Tensor = out.logits[torch.arange(len(lengths)), lengths - 1].float()
        return logits

    def append(self, tokens: torch.Tensor, kept: torch.Tensor) -> None:
        """Appends tokens.

        Args:
            tokens: Next token of each row, ``(rows,)``.
            kept: Numbers of the rows that go on. The others leave.
        """
        for sequence, token in zip(self._sequences, tokens.tolist(), strict=True):
            sequence.append(token)
        self._sequences = [self._sequences[row] for row in kept.tolist()]


Decoder: TypeAlias = CachedDecoder | RecomputingDecoder

_tried: weakref.WeakKeyDictionary[Any, type[Decoder]] = weakref.WeakKeyDictionary()


def decoder_for(model: Any) -> type[Decoder]:
    """The faster decoder whose logits are those of a model's plain forward passes.

    Args:
        model: Causal language model of transformers, with an adapter or not.
    """
    base = base_of(model)
    if base not in _tried:
        _tried[base] = CachedDecoder if _cache_is_right(base) else RecomputingDecoder
    return _tried[base]


@torch.no_grad()
def _cache_is_right(model: Any) -> bool:
    words = model.config.get_text_config().vocab_size
    generator = torch.Generator().manual_seed(0)
    sequences = [torch.randint(words, (length + _MORE,), generator=generator).tolist() for length in _PROMPTS]
    rows = list(range(len(sequences)))
    with in_single_precision(model) as exact:
        try:
            decoder = CachedDecoder(model, [sequence[:-_MORE] for sequence in sequences])
            errors = []
            for step in range(_MORE, 0, -1):
                found = decoder.logits().log_softmax(-1)
                for row, line in zip(rows, found, strict=True):
                    ids = torch.tensor([sequences[row][:-step]], device=model.device)
                    plain = model(input_ids=ids, use_cache=False).logits[0, -1].float()
                    errors.append((line - plain.log_softmax(-1)).abs())
                kept = [
                    at for at, row in enumerate(rows) if step != _MORE - 1 or row != 0
                ]  # the first one leaves
                tokens = torch.tensor([sequences[row][-step] for row in rows], device=model.device)
                decoder.append(tokens, torch.tensor(kept, device=model.device))
                rows = [rows[at] for at in kept]
        except torch.OutOfMemoryError:
            raise
        except Exception:  # noqa: BLE001  # of a model with another cache, or none
            return False
    wrong = torch.stack([error.max() if exact else error.median() for error in errors]).max()
    return bool(wrong <= (_TOLERANCE if exact else HALF_TOLERANCE))
