"""Performance profiles: the share of runs whose normalised score exceeds τ, for every τ.

References:
    Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS, §4.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mpobench.leaderboard.resampling import expanded_tail, seed_weights
from mpobench.leaderboard.standings import Row, Section
from mpobench.protocols import NORMALISED_SCORE
from mpobench.results.cell_result import CellResult


@dataclass(frozen=True)
class Profile:
    """The profile of one row.

    Attributes:
        row: Row.
        shares: Share of runs above each threshold, in [0, 1], an array (thresholds,).
        low: Lower ends of the pointwise 95 % bootstrap band, as ``shares``; None from a single seed.
        high: Its upper ends.
    """

    row: Row
    shares: Any
    low: Any
    high: Any


def profiles(section: Section, thresholds: Any) -> list[Profile]:
    """The profiles of the rows that finished every seed of every column and have a normalised score.

    Every corruption counts the same, however many seeds it has.

    Args:
        section: Table.
        thresholds: Normalised scores τ, an array (thresholds,).
    """
    return [_profile(section, row, cells, thresholds) for row, cells in _scored(section)]


def thresholds_of(section: Section, count: int) -> Any:
    """Scores at which the profiles of a table are drawn, from below its least score to above its largest.

    Args:
        section: Table of which some row has a profile.
        count: Number of thresholds.

    Returns:
        An array (count,).
    """
    import numpy as np

    found = scores(section)
    air = 0.03 * (max(found) - min(found)) or 1.0
    return np.linspace(min(found) - air, max(found) + air, count)


def scores(section: Section) -> list[float]:
    """The normalised scores of all runs that have a profile."""
    return [
        result.metrics[NORMALISED_SCORE] for _, cells in _scored(section) for cell in cells for result in cell
    ]


def _scored(section: Section) -> Iterator[tuple[Row, list[tuple[CellResult, ...]]]]:
    """The complete rows that have normalised scores, with their results by column."""
    columns, rows = section.complete
    for row in rows:
        cells = [row.entries[column].finished for column in columns]
        if all(NORMALISED_SCORE in result.metrics for cell in cells for result in cell):
            yield row, cells


def _profile(section: Section, row: Row, cells: Sequence[tuple[CellResult, ...]], thresholds: Any) -> Profile:
    import numpy as np

    least = min(map(len, cells))
    shares, drawn = 0.0, 0.0
    for cell in cells:
        own = np.array([result.metrics[NORMALISED_SCORE] for result in cell])
        above = (own[:, None] > thresholds).astype(np.float64)  # (seeds, thresholds)
        shares = shares + above.mean(axis=0) / len(cells)
        if least > 1:
            drawn = drawn + seed_weights(tuple(r.seed for r in cell), section.resamples) @ above / len(cells)
    if least == 1:
        return Profile(row, shares, None, None)
    tail = expanded_tail(least)
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    return Profile(row, shares, low, high)
