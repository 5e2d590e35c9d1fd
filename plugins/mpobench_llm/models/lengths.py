"""Rows that are too long: dropped, or cut so that the conversation still begins and ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mpobench_llm.models.preference_pair import Message
from mpobench_llm.models.tokens import Row, prompt_ids
from mpobench_llm.row_counts import Reason, RowCounts
from mpobench_llm.settings import Overlong

SMALLEST_PROMPT = 4
"""A prompt is cut to no less than this part of the largest length, so that a question is left."""


@dataclass(frozen=True)
class Bound:
    """The largest length of a row.

    Attributes:
        max_length: Largest number of tokens of a prompt with either of its completions.
        overlong: What becomes of longer ones.
    """

    max_length: int
    overlong: Overlong = "drop"


@dataclass(frozen=True)
class KeptRows:
    """Rows that fit.

    Attributes:
        rows: Rows, numbered from 0 by their ``index``.
        counts: How many pairs became them, and why others did not.
    """

    rows: list[Row]
    counts: RowCounts

    @classmethod
    def of(
        cls, outcomes: Iterable[Fitted | Reason], bound: Bound, before: Mapping[Reason, int] | None = None
    ) -> KeptRows:
        """The rows among outcomes, numbered in their order.

        Args:
            outcomes: Outcome of each pair.
            bound: Largest length that they were fitted to.
            before: Numbers of pairs that were dropped before, by reason.
        """
        kept: list[Fitted] = []
        dropped: Counter[Reason] = Counter(before or {})
        for outcome in outcomes:
            if isinstance(outcome, Fitted):
                kept.append(outcome)
            else:
                dropped[outcome] += 1
        rows = [replace(fitted.row, index=index) for index, fitted in enumerate(kept)]
        cut = sum(fitted.cut for fitted in kept) if bound.overlong == "cut" else None
        return cls(rows, RowCounts(len(rows), dict(dropped), cut))


@dataclass(frozen=True)
class Fitted:
    """A row that is short enough, and whether tokens were cut off for that."""

    row: Row
    cut: bool = False


def fit(tokenizer: Any, messages: Sequence[Message], row: Row, bound: Bound) -> Fitted | Reason:
    """A row of at most so many tokens, or the reason why it is dropped.

    A cut takes tokens off the prompt first, then off the completions:

    - The prompt loses tokens right after its opening, which is all before the text of the user's first message: the
      beginning of the sequence and the system's turn. Its end stays: the rest of the last message, and the beginning of
      the assistant's. It keeps at least a quarter of ``max_length``.
    - A completion stays whole, with its end of turn, where it fits beside the prompt that is left. It loses its end
      otherwise, and then has no end of turn.

    The two sides may change places without any difference. A row whose completions are equal is dropped, and one whose
    opening leaves no room.

    Args:
        tokenizer: Tokenizer of the row.
        messages: Conversation of the prompt.
        row: Prompt and completions, whole.
        bound: Largest length, and whether longer rows are cut.
    """
    if len(set(row.completions)) < len(row.completions):
        return "equal answers"
    longest = max(map(len, row.completions))
    if len(row.prompt) + longest <= bound.max_length:
        return Fitted(row)
    if bound.overlong == "drop":
        return "overlong"
    opening, closing = _edges(tokenizer, messages, row.prompt)
    smallest = min(len(row.prompt), max(bound.max_length // SMALLEST_PROMPT, opening + closing + 1))
    size = min(len(row.prompt), max(bound.max_length - longest, smallest))
    room = bound.max_length - size
    if room < 1:
        return "overlong"
    prompt = row.prompt
    if size < len(prompt):
        prompt = prompt[:opening] + prompt[len(prompt) - (size - opening) :]
    completions = tuple(completion[:room] for completion in row.completions)
    if len(set(completions)) < len(completions):
        return "equal when cut"
    return Fitted(Row(prompt, completions, row.index), cut=True)


def _edges(tokenizer: Any, messages: Sequence[Message], prompt: Sequence[int]) -> tuple[int, int]:
    """Numbers of a prompt's tokens before the text of the first user's message, and after that of the last one.

    They are the same in the same conversation with other texts there.
    """
    users = [at for at, message in enumerate(messages) if message["role"] == "user"]
    other = [dict(message) for message in messages]
    for at in users:
        first = messages[at]["content"].lstrip()[:1]
        other[at]["content"] = "0" if first != "0" else "1"
    changed = prompt_ids(tokenizer, other)
    return _shared(prompt, changed), _shared(prompt[::-1], changed[::-1])


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common beginning."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))
