"""How far two columns of a table agree on the order of objectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mpobench.comparison.means import Means
from mpobench.leaderboard.resampling import interval
from mpobench.leaderboard.statistics import Quantity

FEWEST = 3
"""Shared objectives from which on there is an order to compare."""


@dataclass(frozen=True)
class Ranked:
    """An objective in both tables.

    Attributes:
        objective: The paper's name.
        ours: Rank among the shared objectives in our table, 1 the best.
        theirs: Rank in the paper's.
    """

    objective: str
    ours: float
    theirs: float


@dataclass(frozen=True)
class Agreement:
    """The agreement on one corruption.

    Attributes:
        corruption: Corruption.
        ranked: Shared objectives, the largest disagreement in rank first.
        spearman: Spearman's ρ; None with fewer than three shared objectives, or all tied.
        kendall: Kendall's τ-b, likewise.
    """

    corruption: str
    ranked: tuple[Ranked, ...]
    spearman: Quantity | None
    kendall: Quantity | None


def agreement(corruption: str, ours: Means, theirs: Means) -> Agreement:
    """Compares our means on a corruption with the paper's.

    Intervals are over our resampled seeds and the paper's means drawn anew. Both tables are noisy already, and
    the draws add noise, so an interval may lie somewhat below its number.
    """
    import numpy as np
    from scipy.stats import rankdata

    shared = sorted(o for o, c in ours if c == corruption and (o, c) in theirs)
    first, second = ([means[o, corruption] for o in shared] for means in (ours, theirs))
    ranks = [rankdata([-drawn.mean for drawn in side]) for side in (first, second)]
    ranked = [Ranked(o, float(a), float(b)) for o, a, b in zip(shared, *ranks, strict=True)]
    ranked.sort(key=lambda each: (-abs(each.ours - each.theirs), each.objective))
    if len(shared) < FEWEST:
        return Agreement(corruption, tuple(ranked), None, None)
    x, y = (np.stack([drawn.values for drawn in side], axis=-1) for side in (first, second))
    n = min(drawn.n for drawn in first if drawn.n is not None)
    quantities = [_quantity(values, n) for values in (spearman(x, y), kendall(x, y))]
    return Agreement(corruption, tuple(ranked), *quantities)


def spearman(x: Any, y: Any) -> Any:
    """Spearman's ρ along the last axis: the correlation of ranks; NaN where one side is all tied."""
    from scipy.stats import rankdata

    return _correlation(rankdata(x, axis=-1), rankdata(y, axis=-1))


def kendall(x: Any, y: Any) -> Any:
    """Kendall's τ-b along the last axis: the cosine of the signs of all pairs; NaN where one side is all tied."""
    import numpy as np

    first, second = np.triu_indices(np.shape(x)[-1], k=1)
    signs = [np.sign(side[..., first] - side[..., second]) for side in (x, y)]
    return _cosine(*signs)


def _correlation(x: Any, y: Any) -> Any:
    return _cosine(x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True))


def _cosine(x: Any, y: Any) -> Any:
    import numpy as np

    lengths = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    values = np.full(np.shape(lengths), np.nan)
    np.divide((x * y).sum(axis=-1), lengths, out=values, where=lengths > 0)
    return values


def _quantity(values: Any, n: int) -> Quantity | None:
    import numpy as np

    if np.isnan(values[0]):
        return None
    draws = values[1:][~np.isnan(values[1:])]
    return Quantity(float(values[0]), interval(draws, n) if len(draws) else None)
