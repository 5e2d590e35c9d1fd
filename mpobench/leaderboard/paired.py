"""Comparisons within a row or a column, paired by seed: the distance to the best, and what corruption leaves."""

from __future__ import annotations

from mpobench.leaderboard.best_sets import best
from mpobench.leaderboard.resampling import interval, resampled_means
from mpobench.leaderboard.standings import Row, Section
from mpobench.leaderboard.statistics import Quantity, mean_and_standard_error
from mpobench.protocols import CLEAN

_FAR_FROM_ZERO = 3.0
"""Standard errors above zero from which on a mean may be a denominator."""


def leader(section: Section, column: str) -> Row | None:
    """The row with the best mean of a column; None if no row competes."""
    return next(iter(best(section, column, rule="overlap")), None)


def behind(section: Section, column: str, row: Row, leading: Row) -> Quantity | None:
    """The mean difference of a row from the leader of a column, over the seeds that both have.

    Args:
        section: Table.
        column: Corruption.
        row: Row.
        leading: Leader of the column.

    Returns:
        The difference, in the metric's unit, with its bootstrap interval; None where seeds are unfinished or not
        shared.
    """
    first, second = row.finished(column), leading.finished(column)
    if first is None or second is None:
        return None
    shared = first.by_seed.keys() & second.by_seed.keys()
    if not shared:
        return None
    differences = {seed: first.by_seed[seed] - second.by_seed[seed] for seed in shared}
    return Quantity(
        mean_and_standard_error(list(differences.values())).mean,
        interval(resampled_means(differences, section.resamples), len(shared)),
    )


def kept(section: Section, column: str, row: Row) -> Quantity | None:
    """The share of a row's performance on clean data that it keeps under a corruption: a ratio of means, in percent.

    The ratio is of the metric itself, as in the paper's tables, and not of the normalised score: that is 0 for the
    original agent, and a ratio to a number near 0 says nothing.

    Returns:
        The share with its bootstrap interval over the seeds that both cells have; None where seeds are unfinished or
        not shared, where less is better, or where the clean mean is not clearly above 0.
    """
    import numpy as np

    corrupted, clean = row.finished(column), row.finished(CLEAN)
    if corrupted is None or clean is None or not section.higher_is_better:
        return None
    shared = sorted(corrupted.by_seed.keys() & clean.by_seed.keys())
    if not shared:
        return None
    above, below = ({seed: entry.by_seed[seed] for seed in shared} for entry in (corrupted, clean))
    denominator = mean_and_standard_error(list(below.values()))
    if denominator.mean <= _FAR_FROM_ZERO * (denominator.standard_error or 0.0):
        return None
    numerator = mean_and_standard_error(list(above.values()))
    drawn_above, drawn_below = (resampled_means(each, section.resamples) for each in (above, below))
    # A sample whose denominator is not positive, a rare one, counts as a ratio that is far out.
    ratios = drawn_above / np.maximum(drawn_below, 1e-6 * denominator.mean)
    return Quantity(100 * numerator.mean / denominator.mean, interval(100 * ratios, len(shared)))
