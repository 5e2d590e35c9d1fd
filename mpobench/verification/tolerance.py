"""How far a metric may be from the published one: a share of the number, or three standard deviations over seeds.

On one machine and one set of versions a training is deterministic. Another processor, or another version of a
library, rounds differently in the last digit, a rollout of a thousand steps is chaotic, and so the same recipe earns
another return: a learning rate that is off by one part in a million moves the return of a cell by 0.04 to 0.3
standard deviations over seeds on ``tla`` and by up to 0.74 on ``hopper``, and its other metrics by up to 2.4. What
can be asked in all honesty is that a cell made again could be another seed of its row. One cell therefore cannot tell
a number that was invented within that spread. Many can: the mean of n deviations may be 1/√n of what one may be. The
cell itself is left out of the spread: an outlier would otherwise excuse itself.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from mpobench.files.keys import content_key
from mpobench.leaderboard.statistics import mean_and_standard_error
from mpobench.results.cell_result import CellResult

RELATIVE = 0.05
"""Share of a published number that another machine may be off."""

DEVIATIONS = 3.0
"""Standard deviations over seeds that the primary metric may be off. Two seeds differ by more in 3 % of cases."""

OTHER_METRICS = 2.0
"""Multiple of that for the other metrics, which nothing is ranked by."""

SAME = 1e-6
"""Relative difference up to which two numbers are called the same."""

ENOUGH_SEEDS = 5
"""Other seeds from which a row's own standard deviation counts; below, it is pooled over the rows of its column."""

_Column = tuple[str, str, str, str]


@dataclass(frozen=True)
class Deviation:
    """One metric of a cell, published and made again.

    Attributes:
        metric: Name.
        published: Published number; None if the cell did not have it.
        here: Number made here; likewise.
        allowed: Largest difference that passes.
    """

    metric: str
    published: float | None
    here: float | None
    allowed: float

    @property
    def difference(self) -> float:
        """The number made here less the published one; infinite if one of them is missing."""
        if self.published is None or self.here is None:
            return math.inf
        return self.here - self.published

    @property
    def share(self) -> float:
        """The difference as a share of what is allowed: in [-1, 1] if it passes."""
        if not self.difference:
            return 0.0
        return self.difference / self.allowed if self.allowed else math.copysign(math.inf, self.difference)

    @property
    def passes(self) -> bool:
        """Whether the difference is allowed."""
        return abs(self.difference) <= self.allowed

    @property
    def same(self) -> bool:
        """Whether the two are equal but for rounding."""
        return self.published is not None and abs(self.difference) <= SAME * abs(self.published)


class Spreads:
    """Standard deviations over seeds of every metric in a file.

    Args:
        results: All results of the file.
    """

    def __init__(self, results: Iterable[CellResult]) -> None:
        self._rows: defaultdict[str, list[CellResult]] = defaultdict(list)
        self._columns: defaultdict[_Column, set[str]] = defaultdict(set)
        for result in results:
            if result.status == "ok":
                row = _row(result)
                self._rows[row].append(result)
                self._columns[_column(result)].add(row)

    def spread(self, result: CellResult, metric: str) -> float:
        """Standard deviation of a metric over the other seeds of a result's row; 0 where nothing varies.

        Of a row with few seeds it is the root mean square over the rows of its column, weighted by degrees of freedom.
        """
        own = self._others(_row(result), metric, result)
        if len(own) >= ENOUGH_SEEDS:
            return math.sqrt(_square(own) / (len(own) - 1))
        rows = [self._others(row, metric, result) for row in self._columns[_column(result)]]
        free = sum(len(values) - 1 for values in rows if values)
        return math.sqrt(math.fsum(_square(values) for values in rows if values) / free) if free else 0.0

    def _others(self, row: str, metric: str, result: CellResult) -> list[float]:
        others = (each for each in self._rows[row] if each.key != result.key)
        return [each.metrics[metric] for each in others if metric in each.metrics]

    def deviations(self, published: CellResult, here: CellResult, relative: float) -> list[Deviation]:
        """The deviations of the published metrics, and of the primary one in any case.

        A metric that evaluators have learned since was not published, and there is nothing to compare it with.

        Args:
            published: Result of the file.
            here: The same cell, made again.
            relative: Share of a published number that it may be off.
        """
        found = []
        for metric in dict.fromkeys([*published.metrics, here.primary]):
            value = published.metrics.get(metric)
            allowed = max(relative * abs(value or 0.0), DEVIATIONS * self.spread(published, metric))
            if metric != published.primary:
                allowed *= OTHER_METRICS
            found.append(Deviation(metric, value, here.metrics.get(metric), allowed))
        return found


def _square(values: list[float]) -> float:
    """Sum of squared deviations from the mean."""
    mean = mean_and_standard_error(values).mean
    return math.fsum((value - mean) ** 2 for value in values)


def _column(result: CellResult) -> _Column:
    return result.env, result.corruption, result.evaluator, result.scale


def _row(result: CellResult) -> str:
    return content_key([_column(result), result.objective, result.config])
