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
from functools import lru_cache
from typing import Any

from mpobench.leaderboard.statistics import Interval

CONFIDENCE = 0.95
"""Probability mass of the intervals."""


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
