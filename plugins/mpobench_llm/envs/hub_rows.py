"""Pairs of a dataset as rows of tokens of a model, both of the hub or local: for trainings, and for evaluations."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mpobench import RequestError
from mpobench.files.keys import content_key
from mpobench_llm.envs.hub_data import LoadedRows, Split, load_rows
from mpobench_llm.envs.hub_names import Origin
from mpobench_llm.models.chat_templates import RefusedConversationError
from mpobench_llm.models.lengths import Bound, Fitted, KeptRows, fit
from mpobench_llm.models.preference_pair import PreferencePair
from mpobench_llm.models.tokens import encode, prompt_ids
from mpobench_llm.row_counts import Reason


@dataclass(frozen=True)
class HubRows:
    """The rows of a dataset for a model.

    Attributes:
        model: Origin of the model, whose tokenizer and chat template make the rows.
        dataset: Origin of the dataset.
    """

    model: Origin
    dataset: Origin

    def pairs(self, split: Split) -> LoadedRows:
        """A split of the dataset. The last two stay in memory: trainings share them."""
        origin = self.dataset
        return _load(origin.location, origin.revision, split, content_key(origin.identity))

    def kept(
        self, split: Split, pairs: int | None, bound: Bound, flips: Iterable[bool] | None = None
    ) -> KeptRows:
        """The rows of the first pairs of a split.

        Args:
            split: Split.
            pairs: Number of pairs, before those that do not fit are dropped; None for all.
            bound: Largest length.
            flips: Whether chosen and rejected are swapped, for each pair or more; None for no pair.
        """
        loaded = self.pairs(split).first(pairs)
        outcomes = self._fitted(loaded.pairs, bound)
        if flips is not None:
            outcomes = (_swapped(each) if flip else each for each, flip in zip(outcomes, flips, strict=True))
        return KeptRows.of(outcomes, bound, loaded.dropped)

    def check_any(self, pairs: int | None, bound: Bound, advice: str) -> None:
        """Refuses a training split of which no pair is kept. It stops at the first one that is.

        Args:
            pairs: Number of pairs; None for all.
            bound: Largest length.
            advice: What to do where pairs are overlong.

        Raises:
            RequestError: If there is none.
        """
        loaded = self.pairs("train").first(pairs)
        outcomes: list[Fitted | Reason] = []
        for outcome in self._fitted(loaded.pairs, bound):
            outcomes.append(outcome)
            if isinstance(outcome, Fitted):
                break
        counts = KeptRows.of(outcomes, bound, loaded.dropped).counts
        counts.check(self.dataset.name, bound.max_length, advice)

    def _fitted(self, pairs: Iterable[PreferencePair], bound: Bound) -> Iterator[Fitted | Reason]:
        from mpobench_llm.models.base_model import load_tokenizer

        tokenizer = load_tokenizer(self.model.location, self.model.revision)
        for pair in pairs:
            try:
                yield fit(tokenizer, pair.prompt, encode(tokenizer, pair), bound)
            except RefusedConversationError:
                yield "refused by the chat template"

    def instructions(self, count: int, max_tokens: int, limit: int | None) -> tuple[list[str], int]:
        """Held-out conversations of one message, each once, and how many were left out because they are too long.

        A prompt leaves ``max_tokens`` of the model's positions to the answer, or at least half of them.

        Args:
            count: Largest number of messages.
            max_tokens: Largest number of tokens of an answer.
            limit: Number of the model's positions; None if it has no limit.

        Raises:
            RequestError: If there is none.
        """
        from mpobench_llm.models.base_model import load_tokenizer

        advice = "name a file of instructions (judge:instructions=FILE)"
        pairs = self.pairs("test").pairs
        messages = dict.fromkeys(pair.prompt[-1]["content"] for pair in pairs if len(pair.prompt) == 1)
        if not messages:
            raise RequestError(f"{self.dataset.name} holds out no conversation of one message: {advice}")
        tokenizer = load_tokenizer(self.model.location, self.model.revision)
        most = None if limit is None else limit - min(max_tokens, limit // 2)
        asked: list[str] = []
        long = 0
        for text in messages:
            if len(asked) == count:
                break
            if most is None or len(prompt_ids(tokenizer, [{"role": "user", "content": text}])) <= most:
                asked.append(text)
            else:
                long += 1
        if not asked:
            raise RequestError(
                f"all {long} held-out messages of {self.dataset.name} have more than {most} tokens, too many for the "
                f"{limit} positions of {self.model.name}: {advice}"
            )
        return asked, long


@functools.lru_cache(maxsize=2)
def _load(location: str, revision: str | None, split: Split, content: str) -> LoadedRows:  # for the cache
    return load_rows(location, split, revision=revision)


def _swapped(outcome: Fitted | Reason) -> Fitted | Reason:
    """A row with chosen and rejected swapped."""
    if not isinstance(outcome, Fitted):
        return outcome
    row = outcome.row
    return replace(outcome, row=replace(row, completions=row.completions[::-1]))
