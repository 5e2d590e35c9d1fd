"""The best objectives of a column, by either of two rules."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from mpobench.leaderboard.significance import not_worse
from mpobench.leaderboard.standings import ORIGINS, Row, Section
from mpobench.leaderboard.statistics import Estimate
from mpobench.protocols import Origin

BestRule: TypeAlias = Literal["significance", "overlap"]
"""``significance``: all that are not significantly worse than the best mean. ``overlap``: the paper's Table 1, the best
and the second if their intervals overlap."""

RULES: tuple[BestRule, ...] = get_args(BestRule)


def best(
    section: Section, column: str, origins: Sequence[Origin] = ORIGINS, rule: BestRule = "significance"
) -> list[Row]:
    """The best rows of a column, by mean.

    A mean over the seeds that happened to survive flatters its objective, and a single seed among rows with more has
    no spread at all: neither competes. Where all have a single seed, nothing can be significant, and that rule names
    none.

    Args:
        section: Table.
        column: Corruption.
        origins: Groups of rows that compete.
        rule: Rule.
    """
    competing = _competing(section, column, origins)
    if not competing:
        return []
    if rule == "overlap":
        (first, top), *behind = competing
        second = [row for row, estimate in behind[:1] if estimate.interval.overlaps(top.interval)]
        return [first, *second]
    if competing[0][1].n == 1:
        return []
    first, *rest = (row for row, _ in competing)
    sign = 1.0 if section.higher_is_better else -1.0
    scores, *others = (
        {seed: sign * score for seed, score in row.entries[column].by_seed.items()} for row, _ in competing
    )
    return [first, *itertools.compress(rest, not_worse(scores, others))]


def _competing(section: Section, column: str, origins: Sequence[Origin]) -> list[tuple[Row, Estimate]]:
    """The rows that compete, with their estimates, best mean first."""
    sign = -1.0 if section.higher_is_better else 1.0
    finished = [
        (row, estimate)
        for row in section.rows
        if row.origin in origins and row.finished(column) and (estimate := row.estimate(column))
    ]
    if any(estimate.n > 1 for _, estimate in finished):
        finished = [(row, estimate) for row, estimate in finished if estimate.n > 1]
    return sorted(finished, key=lambda pair: sign * pair[1].mean)
