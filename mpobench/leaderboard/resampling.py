"""The bootstrap over seeds: one draw serves all objectives, corruptions and statistics, so that they stay paired.

``scipy.stats.bootstrap`` resamples one statistic at a time. Here the same seeds, in whatever cells, are always given
the same weights: the resampled means of two objectives on one seed's dataset rise and fall together, as they would
if the seeds were drawn again.

References:
    Efron, Tibshirani (1993), An Introduction to the Bootstrap, §13.3: the percentile interval.
    Hesterberg (2015), What Teachers Should Know About the Bootstrap, The American Statistician 69(4): the percentile
    interval is too short for few values; expanded percentiles mend that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from mpobench.leaderboard.statistics import Interval

CONFIDENCE = 0.95
"""Probability mass of the intervals."""

RESAMPLES = 5000
"""Bootstrap samples of each interval."""

MOST_RESAMPLED = 50_000_000
"""Scores that the intervals of a table may draw in all; a table of over 10,000 cells takes fewer bootstrap samples."""

MOST_WEIGHTS = 1 << 22
"""Weights that the bootstrap of one set of seeds may hold in memory at once: it has a weight per seed and sample."""

FEWEST_RESAMPLES = 500
"""Bootstrap samples of a table of any size."""

_MOST_AT_ONCE = 1 << 20
"""Numbers of one array, 8 MiB: more bootstrap samples are taken in parts."""


def affordable_resamples(sizes: Sequence[int]) -> int:
    """Bootstrap samples of each interval of a table: fewer for very large tables, and for very many seeds.

    Args:
        sizes: Number of scores in each cell of the table.
    """
    affordable = min(MOST_RESAMPLED // max(sum(sizes), 1), MOST_WEIGHTS // max(*sizes, 1))
    return min(RESAMPLES, max(affordable, FEWEST_RESAMPLES))


@lru_cache(16)
def seed_weights(seeds: tuple[int, ...], resamples: int) -> Any:
    """The share of each seed in each bootstrap sample.

    Args:
        seeds: Distinct seeds. The same seeds have the same weights, others have independent ones.
        resamples: Number of bootstrap samples.

    Returns:
        An array (resamples, seeds) whose rows sum to 1.
    """
    import numpy as np

    n = len(seeds)
    counts = np.random.default_rng([n, *seeds]).multinomial(n, np.full(n, 1 / n), size=resamples)
    weights = counts / n
    weights.flags.writeable = False  # it is shared
    return weights


def resampled_means(values: dict[int, float], resamples: int) -> Any:
    """Means of bootstrap samples.

    Args:
        values: A value per seed.
        resamples: Number of bootstrap samples.

    Returns:
        An array (resamples,).
    """
    import numpy as np

    seeds = tuple(sorted(values))
    # About the first value, so that the means of equal values are that value exactly.
    origin = values[seeds[0]]
    return origin + seed_weights(seeds, resamples) @ np.array([values[seed] - origin for seed in seeds])


def resampled_interquartile_means(cells: Sequence[Mapping[int, float]], resamples: int) -> Any:
    """Interquartile means of all values of several cells, in bootstrap samples of their seeds.

    A seed that is drawn twice counts twice in every cell. Agarwal et al. (2021, §4.1) resample each task by itself,
    whose runs are independent; here one seed's trajectories go through all corruptions, so that its scores rise and
    fall together, and intervals of independent draws are too short.

    Args:
        cells: Values by seed, of each cell.
        resamples: Number of bootstrap samples.

    Returns:
        An array (resamples,).
    """
    import numpy as np

    scores = np.concatenate([[cell[seed] for seed in sorted(cell)] for cell in cells])
    order, total = np.argsort(scores, kind="stable"), len(scores)
    cut = total // 4
    means = np.empty(resamples)
    part = max(1, _MOST_AT_ONCE // total)
    for first in range(0, resamples, part):
        drawn = slice(first, first + part)
        counts = [len(cell) * seed_weights(tuple(sorted(cell)), resamples)[drawn] for cell in cells]
        ends = np.cumsum(np.rint(np.concatenate(counts, axis=1)[:, order]), axis=1)
        kept = np.diff(np.clip(ends, cut, total - cut), axis=1, prepend=cut)
        # About the least value, so that the mean of equal values is that value exactly.
        least = scores[order[0]]
        means[drawn] = least + kept @ (scores[order] - least) / (total - 2 * cut)
    return means


@lru_cache(256)
def expanded_tail(n: int) -> float:
    """The probability to cut off at each end of a bootstrap distribution, smaller than 2.5 % for few seeds.

    A bootstrap distribution is narrower than a t interval by √((n − 1)/n) z/t (Hesterberg 2015): cutting off
    Φ(−√(n/(n − 1)) t) in place of Φ(−z) makes up for it.

    Args:
        n: Number of seeds, at least 2.
    """
    from scipy.stats import norm, t  # type: ignore[attr-defined]  # exported, but not so that mypy sees it

    quantile = t.ppf((1 + CONFIDENCE) / 2, n - 1)
    return float(norm.cdf(-math.sqrt(n / (n - 1)) * quantile))


def interval(draws: Any, n: int | None) -> Interval | None:
    """The 95 % interval of a statistic from its bootstrap distribution.

    Args:
        draws: Statistic of each bootstrap sample, an array (resamples,).
        n: Number of seeds behind it, of the least of its cells: the percentiles are expanded for it. None where the
            draws are of the distribution itself.

    Returns:
        The interval; None from a single seed, which has no spread.
    """
    import numpy as np

    if n is not None and n < 2:
        return None
    tail = (1 - CONFIDENCE) / 2 if n is None else expanded_tail(n)
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(float(low), float(high))
