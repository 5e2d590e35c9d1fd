"""Who is worse than the best of a column: t tests paired by seed, with Holm's correction for their number.

Seeds share dataset, start and evaluation, so differences by seed vary less than the means do. The t test is the one
that can decide with three seeds as with 25: the exact sign-flip test of n seeds has no p-value below 2^(1 - n), so that
three seeds could never reject, and ten only if all ten agree once Holm corrects for twenty objectives; and on returns
of reinforcement learning t tests about keep their level, while bootstrap tests of few seeds exceed it (Colas et al.).
The best is chosen by the same data, so the tests are two-sided; the level stays approximate.

References:
    Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6(2).
    Colas, Sigaud, Oudeyer (2019), A Hitchhiker's Guide to Statistical Comparisons of Reinforcement Learning
    Algorithms, arXiv:1904.06979.
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
    """Two-sided p-values of the hypotheses that an objective's mean is that of the best.

    Args:
        best: Scores of the best.
        others: Scores of the others. One that shares fewer than two seeds with the best is tested against it unpaired
            (Welch).

    Returns:
        A p-value for each; 1 where a single seed leaves nothing to test with.
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


def holm(values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number (Holm 1979): those up to a level are rejected, with that family-wise error."""
    adjusted = [0.0] * len(values)
    largest = 0.0
    for rank, at in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[at]))
        adjusted[at] = largest
    return adjusted


def _paired(differences: Any) -> Any:
    """P-values of t tests on the rows of an array (objectives, seeds)."""
    import numpy as np
    from scipy.stats import ttest_1samp

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # differences that are nearly equal
        p = np.asarray(ttest_1samp(differences, 0.0, axis=-1).pvalue)
    # Differences that are all the same leave no doubt, whatever they are.
    constant = np.ptp(differences, axis=-1) == 0
    return np.where(constant, (differences[..., 0] == 0).astype(float), p)


def _welch(first: list[float], second: list[float]) -> float:
    from scipy.stats import ttest_ind

    if min(len(first), len(second)) < 2:
        return 1.0
    if min(first) == max(first) and min(second) == max(second):
        return float(first[0] == second[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(ttest_ind(first, second, equal_var=False).pvalue)
