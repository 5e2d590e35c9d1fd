"""The tables below a leaderboard's main one: over all corruptions, behind the best, kept under corruption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpobench.leaderboard.marks import Markdown
from mpobench.leaderboard.numbers import decimals_for, with_interval
from mpobench.leaderboard.overall import BASELINE, Overall
from mpobench.leaderboard.paired import behind, kept, leader
from mpobench.leaderboard.resampling import RESAMPLES
from mpobench.leaderboard.standings import Row, Section
from mpobench.leaderboard.statistics import Quantity
from mpobench.protocols import CLEAN

_MANY_SEEDS = 10
"""Seeds from which on bootstrap intervals are about as wide as they should be."""


@dataclass(frozen=True)
class _Statistic:
    """A column over all corruptions; shown if it has any value."""

    title: str
    words: str
    values: Sequence[Quantity | None]
    decimals: int


def overall_blocks(section: Section, found: Sequence[Overall], style: Markdown) -> list[str]:
    """Interquartile mean, mean rank and probability of improvement of the rows that finished everything."""
    if not found:
        return []
    sft = style.code(BASELINE)
    statistics = (
        _Statistic(
            "IQM",
            "interquartile mean (IQM) of the normalised score (0 is the original agent, 100 the target agent)",
            [entry.iqm for entry in found],
            decimals=1,
        ),
        _Statistic("mean rank", "mean rank, 1 the best", [entry.rank for entry in found], decimals=1),
        _Statistic(
            f"better than {sft}",
            f"probability that a run is better than one of {sft}",
            [entry.improvement for entry in found],
            decimals=2,
        ),
    )
    shown = [statistic for statistic in statistics if any(statistic.values)]
    caption = "Over all corruptions, with 95 % bootstrap intervals: "
    caption += "; ".join(statistic.words for statistic in shown) + "."
    if section.resamples < RESAMPLES:
        caption += f" The table is large: its intervals are of {section.resamples} resamples."
    left_out = [row for row in section.rows if not any(row is entry.row for entry in found)]
    if left_out:
        caption += " Left out, because not all of their cells finished: "
        caption += ", ".join(_label(row, style) for row in left_out) + "."
    lines = [
        [
            _label(entry.row, style),
            *(with_interval(statistic.values[at], statistic.decimals) for statistic in shown),
            str(entry.n),
        ]
        for at, entry in enumerate(found)
    ]
    return [caption, style.table(["objective", *(statistic.title for statistic in shown), "n"], lines)]


def behind_blocks(section: Section, style: Markdown) -> list[str]:
    """Differences from the best mean of each column, paired by seed."""
    leading = {column: leader(section, column) for column in section.columns}
    columns = [column for column in section.columns if leading[column]]
    table: list[list[Quantity | None]] = [
        [
            behind(section, column, row, best) if (best := leading[column]) and best is not row else None
            for column in columns
        ]
        for row in section.rows
    ]
    told = [quantity for line in table for quantity in line if quantity]
    if not any(quantity.interval for quantity in told):
        return []
    caption = "Behind the best mean of the column, paired by seed, with 95 % bootstrap intervals."
    sizes = [len(entry.finished) for row in section.rows for entry in row.entries.values() if entry.finished]
    if min(sizes) < _MANY_SEEDS:
        caption += " Those of fewer than ten seeds are too short, however wide they look."
    decimals = decimals_for(quantity.value for quantity in told)
    lines = [
        [
            _label(row, style),
            *(
                "best" if row is leading[column] else with_interval(quantity, decimals)
                for column, quantity in zip(columns, line, strict=True)
            ),
        ]
        for row, line in zip(section.rows, table, strict=True)
    ]
    return [caption, style.table(_headers(columns, style), lines)]


def kept_blocks(section: Section, style: Markdown) -> list[str]:
    """The share of base performance that rows keep under each corruption."""
    columns = [column for column in section.columns if column != CLEAN]
    if CLEAN not in section.columns:
        return []
    table = [[kept(section, column, row) for column in columns] for row in section.rows]
    if not any(quantity for line in table for quantity in line):
        return []
    caption = (
        f"Kept under corruption: {section.metric} in percent of that on {style.code(CLEAN)}, a ratio of means, paired "
        "by seed, with 95 % bootstrap intervals."
    )
    lines = [
        [_label(row, style), *(with_interval(quantity, 0) for quantity in line)]
        for row, line in zip(section.rows, table, strict=True)
    ]
    return [caption, style.table(_headers(columns, style), lines)]


def _headers(columns: Sequence[str], style: Markdown) -> list[str]:
    return ["objective", *map(style.spec, columns)]


def _label(row: Row, style: Markdown) -> str:
    return style.objective(row.objective, row.variant)
