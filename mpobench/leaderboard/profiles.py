"""Performance profiles: the share of runs whose normalised score exceeds τ, for every τ.

References:
    Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS, §4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mpobench.leaderboard.resampling import expanded_tail, seed_weights
from mpobench.leaderboard.standings import Row, Section
from mpobench.protocols import NORMALISED_SCORE


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
    columns, rows = section.complete
    return [
        _profile(section, row, columns, thresholds)
        for row in rows
        if all(NORMALISED_SCORE in result.metrics for c in columns for result in row.entries[c].finished)
    ]


def scores(section: Section) -> list[float]:
    """All normalised scores of the complete rows: where profiles change."""
    columns, rows = section.complete
    finished = [result for row in rows for column in columns for result in row.entries[column].finished]
    return [result.metrics[NORMALISED_SCORE] for result in finished if NORMALISED_SCORE in result.metrics]


def _profile(section: Section, row: Row, columns: tuple[str, ...], thresholds: Any) -> Profile:
    import numpy as np

    cells = [row.entries[column].finished for column in columns]
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
