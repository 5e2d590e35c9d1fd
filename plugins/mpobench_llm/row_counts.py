"""Counts of the pairs of a dataset: read, kept, and dropped by reason. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mpobench import RequestError

Reason: TypeAlias = Literal[
    "equal answers",
    "empty answer",
    "prompts differ",
    "no prompt",
    "malformed messages",
    "refused by the chat template",
    "overlong",
    "equal when cut",
]
"""The reason why a pair is dropped.

``malformed messages``: another role than system, user or assistant, a message without text, or a conversation that does
not end with the assistant. ``no prompt``: no user's message right before the answer. ``equal answers``: the same text,
or the same tokens. ``overlong``: more tokens than ``max_length``; if those are cut, more that must not be."""

_FITTING: tuple[Reason, ...] = ("equal answers", "overlong")
"""Reasons that are counted where they never occur, too, so that means over datasets are right."""


@dataclass(frozen=True)
class RowCounts:
    """Counts of pairs.

    Attributes:
        kept: Number of pairs that are used.
        dropped: Number of pairs that are not, by reason.
        cut: Number of kept pairs that lost tokens; None where none may be cut.
    """

    kept: int
    dropped: Mapping[Reason, int]
    cut: int | None = None

    @property
    def read(self) -> int:
        """Number of pairs that were looked at."""
        return self.kept + sum(self.dropped.values())

    @property
    def few(self) -> bool:
        """Whether fewer than half are kept."""
        return 2 * self.kept < self.read

    def facts(self) -> dict[str, float]:
        """The counts by name, as :class:`mpobench.Trained` takes them."""
        facts = {"pairs read": float(self.read), "pairs kept": float(self.kept)}
        if self.cut is not None:
            facts["pairs kept, but cut"] = float(self.cut)
        dropped = {**dict.fromkeys(_FITTING, 0), **self.dropped}
        return facts | {f"pairs dropped: {reason}": float(count) for reason, count in dropped.items()}

    def __str__(self) -> str:
        dropped = ", ".join(f"{count} × {reason}" for reason, count in self.dropped.items() if count)
        cut = f", {self.cut} of them cut" if self.cut else ""
        return f"{self.read} {'pair' if self.read == 1 else 'pairs'} read, {self.kept} kept{cut}" + (
            f"; dropped: {dropped}" if dropped else ""
        )

    def line(self, dataset: str) -> str:
        """The counts in a line for the user: a warning if few are kept.

        Args:
            dataset: Name of the dataset.
        """
        if self.few:
            return f"mpobench: warning: fewer than half of the pairs of {dataset} are kept: {self}"
        return f"{dataset}: {self}"

    def check(self, dataset: str, max_length: int, advice: str) -> None:
        """Refuses a dataset of which nothing is kept.

        Args:
            dataset: Name of the dataset.
            max_length: Largest number of tokens of a pair's prompt with either answer.
            advice: What to do where pairs are overlong.

        Raises:
            RequestError: If no pair is kept.
        """
        if self.kept:
            return
        what = f"{dataset} has no pair to use at {max_length} tokens: {self}"
        raise RequestError(f"{what}; {advice}" if self.dropped.get("overlong") else what)
