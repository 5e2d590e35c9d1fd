"""Who is worse than the best of a column: t tests paired by seed, with Holm's correction for their number.

Seeds share dataset, start and evaluation, so differences by seed vary less than the means do. The t test is the one
that can decide with three seeds as with 25: the exact sign-flip test of n seeds has no p-value below 2^(1 - n), so that
three seeds could never reject, and ten only if all ten agree once Holm corrects for twenty objectives; a bootstrap test
of few seeds rejects too often (Colas et al. 2018). The best is chosen by the same data, so the tests are two-sided.

References:
    Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6(2).
    Colas, Sigaud, Oudeyer (2018), How Many Random Seeds?, arXiv:1806.08295; (2019), A Hitchhiker's Guide to
    Statistical Comparisons of Reinforcement Learning Algorithms, arXiv:1904.06979: t tests for few seeds.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

LEVEL = 0.05
"""Significance level, for all tests of a column together."""

BySeed: TypeAlias = Mapping[int, float]
"""A value per seed."""


def p_values(best: BySeed, others: Sequence[BySeed]) -> list[float]:
    """Two-sided p-values of the hypotheses that an objective is as good as the best.

    Args:
        best: Scores of the best; more is better.
        others: Scores of the others. One that shares fewer than two seeds with the best is tested against it unpaired
            (Welch).

    Returns:
        A p-value for each; 1 where a single seed leaves nothing to test with, and for one that is not worse on the
        seeds that it shares with the best.
    """
    import numpy as np

    by_seeds: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for at, other in enumerate(others):
        by_seeds[tuple(sorted(best.keys() & other.keys()))].append(at)
    found = [1.0] * len(others)
    for seeds, positions in by_seeds.items():
        if len(seeds) >= 2:
            scores = np.array([[others[at][seed] for seed in seeds] for at in positions])
            paired = _paired(np.array([best[seed] for seed in seeds]) - scores)
            for at, p in zip(positions, paired, strict=True):
                found[at] = float(p)
            continue
        for at in positions:
            found[at] = _welch(list(best.values()), list(others[at].values()))
    return found


def not_worse(best: BySeed, others: Sequence[BySeed]) -> list[bool]:
    """Whether each of the others is not significantly worse than the best, all tests together at the level."""
    return [p > LEVEL for p in holm(p_values(best, others))]


def holm(values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number (Holm 1979): those up to a level are rejected, with that family-wise error."""
    adjusted = [0.0] * len(values)
    largest = 0.0
    for rank, at in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[at]))
        adjusted[at] = largest
    return adjusted


def _paired(differences: Any) -> Any:
    """P-values of t tests on the rows of an array (objectives, seeds), 1 where the mean is not above 0."""
    import numpy as np
    from scipy.stats import ttest_1samp

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # differences that are nearly equal
        p = np.asarray(ttest_1samp(differences, 0.0, axis=-1).pvalue)
    # Differences that are all the same leave no doubt.
    p = np.where(np.ptp(differences, axis=-1) == 0, 0.0, p)
    return np.where(differences.mean(axis=-1) > 0, p, 1.0)


def _welch(first: list[float], second: list[float]) -> float:
    from scipy.stats import ttest_ind

    if min(len(first), len(second)) < 2:
        return 1.0
    if min(first) == max(first) and min(second) == max(second):
        return float(first[0] == second[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(ttest_ind(first, second, equal_var=False).pvalue)
