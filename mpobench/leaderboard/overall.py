"""Objectives over all corruptions: interquartile mean, mean rank, and the probability of being better than cloning.

References:
    Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS: interquartile
    mean, probability of improvement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mpobench.leaderboard.resampling import (
    interval,
    resampled_interquartile_means,
    resampled_means,
    seed_weights,
)
from mpobench.leaderboard.standings import Row, Section
from mpobench.leaderboard.statistics import Quantity, interquartile_mean
from mpobench.protocols import NORMALISED_SCORE

BASELINE = "sft"
"""The objective that others are to improve on: cloning of the chosen side, what every loss falls back to."""


@dataclass(frozen=True)
class Overall:
    """One row over all corruptions.

    Attributes:
        row: Row.
        iqm: Interquartile mean of the normalised score; None without such scores.
        rank: Mean rank over the corruptions, among the complete rows, by mean; None if it is the only one.
        improvement: Probability of improvement over the baseline; None without one, and for itself.
        n: Number of scores.
    """

    row: Row
    iqm: Quantity | None
    rank: Quantity | None
    improvement: Quantity | None
    n: int


def overall(section: Section) -> tuple[Overall, ...]:
    """The rows that finished every seed of every column; best first. Empty if there is nothing to say about them."""
    columns, rows = section.complete
    ranks = _mean_ranks(section) if len(rows) > 1 else [None] * len(rows)
    baselines = [row for row in rows if row.objective == BASELINE]
    found = [
        Overall(
            row,
            _iqm(row, columns, section.resamples),
            rank,
            _improvement(section, row, baselines[0]) if len(baselines) == 1 else None,
            sum(len(row.entries[column].finished) for column in columns),
        )
        for row, rank in zip(rows, ranks, strict=True)
    ]
    told = [entry for entry in found if entry.iqm or entry.rank]
    return tuple(
        sorted(told, key=lambda entry: (-(entry.iqm.value if entry.iqm else 0), _rank_of(entry.rank)))
    )


def probability_of_improvement(first: Any, second: Any, first_weights: Any, second_weights: Any) -> Any:
    """P(X > Y) + P(X = Y)/2 for independent runs: Mann and Whitney's U, divided by the number of pairs.

    Args:
        first: Scores X, an array (n,); more is better.
        second: Scores Y, an array (m,).
        first_weights: Their shares, (…, n): 1/n each, or bootstrap weights.
        second_weights: Their shares, (…, m).

    Returns:
        Probabilities (…,).
    """
    import numpy as np

    order = np.argsort(second, kind="stable")
    below = np.cumsum(second_weights[..., order], axis=-1)
    below = np.concatenate([np.zeros((*below.shape[:-1], 1)), below], axis=-1)
    less, less_or_equal = (np.searchsorted(second[order], first, side) for side in ("left", "right"))
    beaten = (below[..., less] + below[..., less_or_equal]) / 2
    return np.clip(np.sum(first_weights * beaten, axis=-1), 0.0, 1.0)


def _iqm(row: Row, columns: tuple[str, ...], resamples: int) -> Quantity | None:
    cells = [row.entries[column].finished for column in columns]
    if not all(NORMALISED_SCORE in result.metrics for cell in cells for result in cell):
        return None
    by_seed = [{result.seed: result.metrics[NORMALISED_SCORE] for result in cell} for cell in cells]
    scores = [score for cell in by_seed for score in cell.values()]
    n = min(map(len, by_seed))
    draws = resampled_interquartile_means(by_seed, resamples) if n > 1 else None
    return Quantity(float(interquartile_mean(scores)), interval(draws, n))


def _mean_ranks(section: Section) -> list[Quantity | None]:
    """Mean ranks of the complete rows, 1 the best; ties share a rank."""
    import numpy as np
    from scipy.stats import rankdata

    columns, rows = section.complete
    sign = -1.0 if section.higher_is_better else 1.0
    n = min(len(row.entries[column].finished) for row in rows for column in columns)
    totals, drawn = np.zeros(len(rows)), np.zeros((len(rows), section.resamples if n > 1 else 1))
    for column in columns:
        entries = [row.entries[column] for row in rows]
        totals += rankdata([sign * entry.estimate.mean for entry in entries if entry.estimate])
        if n > 1:
            draws = [sign * resampled_means(entry.by_seed, section.resamples) for entry in entries]
            drawn += rankdata(np.stack(draws), axis=0)
    return [
        Quantity(float(total / len(columns)), interval(draws / len(columns), n))
        for total, draws in zip(totals, drawn, strict=True)
    ]


def _improvement(section: Section, row: Row, baseline: Row) -> Quantity | None:
    """Mean over the corruptions of the probability that a run of the row beats one of the baseline."""
    import numpy as np

    if row is baseline:
        return None
    sign = 1.0 if section.higher_is_better else -1.0
    columns, _ = section.complete
    n = min(len(each.entries[column].by_seed) for each in (row, baseline) for column in columns)
    total, drawn = 0.0, np.zeros(section.resamples)
    for column in columns:
        cells = [each.entries[column].by_seed for each in (row, baseline)]
        scores = [sign * np.array([cell[seed] for seed in sorted(cell)]) for cell in cells]
        equal = [np.full(len(cell), 1 / len(cell)) for cell in cells]
        total += float(probability_of_improvement(*scores, *equal))
        if n > 1:
            weights = [seed_weights(tuple(sorted(cell)), section.resamples) for cell in cells]
            drawn += probability_of_improvement(*scores, *weights)
    return Quantity(total / len(columns), interval(drawn / len(columns), n))


def _rank_of(rank: Quantity | None) -> float:
    return rank.value if rank else 0.0
