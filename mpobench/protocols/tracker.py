"""Trackers: programs in which people look at runs, such as TensorBoard."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mpobench.protocols.component import Component


@dataclass(frozen=True)
class TrackedCell:
    """One cell that is over, as a tracker shows it. Secrets are redacted, and all numbers finite.

    Attributes:
        key: Content key of the cell.
        digest: Digest of its whole record, which changes when the cell is made again.
        group: Environment, corruption, objective and evaluator.
        seed: Seed of dataset and training.
        status: ``ok``, ``diverged`` or ``error``.
        curves: Quantities of the training by epoch, from 1: ``curves/loss``; epochs without a finite value left out.
        numbers: Numbers at the end, the primary metric first: ``metrics/return``, ``seconds/train``, ``data/…``.
        config: What the cell is and its whole configuration, flat: ``objective``, ``config.training.learning_rate``.
        text: What became of it, in Markdown.
    """

    key: str
    digest: str
    group: tuple[str, ...]
    seed: int
    status: str
    curves: Mapping[str, Sequence[tuple[int, float]]]
    numbers: Mapping[str, float]
    config: Mapping[str, str | int | float | bool]
    text: str

    @property
    def name(self) -> str:
        """Name within the group: no other cell has it, whatever their configurations."""
        return f"seed-{self.seed}-{self.key[:8]}"

    @property
    def last_epoch(self) -> int:
        """Last epoch of the curves, at which the final numbers stand; 0 without curves."""
        return max((points[-1][0] for points in self.curves.values()), default=0)


Track: TypeAlias = Callable[[TrackedCell], None]
"""A function that shows a cell."""


class Tracker(Component, ABC):
    """A place that shows the cells of a run."""

    @abstractmethod
    def open(self, results: Path) -> AbstractContextManager[Track]:
        """A function that shows a cell. It is called in one thread of the process that started the run.

        It is called with every cell of the run that has a record, with those of earlier runs, too: what it has shown
        already (same key and digest), it leaves as it is. What it raises ends the tracking with a warning, not the run.

        Args:
            results: Results folder of the run.

        Raises:
            RequestError: If it cannot be used at all: a package or a key is missing. Nothing has been computed then.
        """
