"""Trials: configurations that were trained on tuning seeds, and the race that decides how many seeds each gets.

Successive halving within each batch: all on the first seeds, the best third of them on more, the best third of those on
all. So every objective gets the same number of trainings, whatever its scores.

References:
    Jamieson, Talwalkar (2016), Non-stochastic Best Arm Identification and Hyperparameter Optimization.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mpobench.tuning.space import Point

BATCH = 8
"""Trials that are proposed together. It does not depend on the number of workers, so that the outcome does not."""

KEPT = 3
"""One in so many trials goes on to the next rung."""


@dataclass(frozen=True)
class Trial:
    """A configuration and its scores.

    Attributes:
        point: Configuration.
        scores: Score on each tuning seed that it got, more is better; NaN where it diverged.
    """

    point: Point
    scores: tuple[float, ...]

    @property
    def diverged(self) -> bool:
        """Whether it diverged on a seed: then it is worse than all that did not."""
        return not all(map(math.isfinite, self.scores))

    @property
    def mean(self) -> float:
        """Mean score; minus infinity if it diverged."""
        return -math.inf if self.diverged else math.fsum(self.scores) / len(self.scores)

    @property
    def rank(self) -> tuple[int, float]:
        """What trials are compared by: the number of seeds that they were good enough for, then the mean score."""
        return (0, -math.inf) if self.diverged else (len(self.scores), self.mean)


def best(trials: Sequence[Trial]) -> int:
    """Number of the best trial; the first of equal ones."""
    return max(range(len(trials)), key=lambda number: trials[number].rank)


def promoted(trials: Mapping[int, Trial]) -> list[int]:
    """The trials that go on to the next rung: the best third, at least one, none that diverged."""
    order = sorted(trials, key=lambda number: -trials[number].mean)
    return sorted(each for each in order[: math.ceil(len(order) / KEPT)] if not trials[each].diverged)


def trainings_of_batch(rungs: Iterable[int]) -> int:
    """Number of trainings of a batch in which nothing diverges."""
    count, size, before = 0, BATCH, 0
    for seeds in rungs:
        count += size * (seeds - before)
        size, before = math.ceil(size / KEPT), seeds
    return count
