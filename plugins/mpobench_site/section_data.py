"""One table of a leaderboard as data of its page: rows, columns, numbers with intervals, and their cells."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from mpobench.errors import SpecError
from mpobench.leaderboard.agents import agent_score
from mpobench.leaderboard.best_sets import best
from mpobench.leaderboard.numbers import decimals_for, on_one_line, with_error
from mpobench.leaderboard.overall import overall
from mpobench.leaderboard.profiles import profiles, scores, thresholds_of
from mpobench.leaderboard.scores import score
from mpobench.leaderboard.standings import Entry, Row, Section
from mpobench.protocols import CLEAN, NORMALISED_SCORE
from mpobench.registry.specs import split_sum
from mpobench.results.cell_result import CellResult
from mpobench_site.again import Commands
from mpobench_site.digits import ends, short, shorts

THRESHOLDS = 121
"""Number of points of a performance profile."""

_NOISE = re.compile(r"noisy:(\d+(?:\.\d+)?(?:e-?\d+)?)", re.ASCII)
_LONGEST_REASON = 300


def section_data(section: Section, commands: Commands) -> dict[str, Any]:
    """Everything that the page shows of a table, but for curves, fields and samples.

    Args:
        section: Table.
        commands: Commands that make its numbers again.
    """
    estimates = [e.estimate for row in section.rows for e in row.entries.values() if e.estimate]
    decimals = decimals_for(estimate.mean for estimate in estimates)
    return {
        "env": section.env,
        "evaluator": section.evaluator,
        "scale": section.scale,
        "metric": section.metric,
        "unit": section.unit,
        "higher": section.higher_is_better,
        "levels": _levels(section),
        "columns": [_column(column) for column in section.columns],
        "rows": [{"label": row.label, "origin": row.origin} for row in section.rows],
        "metrics": _metric_names(section),
        "entries": _entries(section, decimals, commands),
        "overall": [
            {
                "row": _index(section.rows, found.row),
                **{
                    name: [short(quantity.value), *ends(quantity.interval)] if quantity else None
                    for name, quantity in (
                        ("iqm", found.iqm),
                        ("rank", found.rank),
                        ("improvement", found.improvement),
                    )
                },
            }
            for found in overall(section)
        ],
        "profiles": _profiles(section),
    }


def _index(rows: Sequence[Row], wanted: Row) -> int:
    return next(at for at, row in enumerate(rows) if row is wanted)


def _column(corruption: str) -> dict[str, Any]:
    """A corruption, the level of its noise altogether, and what is corrupted besides."""
    try:
        parts = split_sum(corruption)
    except SpecError:  # of a plugin that is not here, or of none
        parts = [corruption]
    kept = [1 - 2 * float(found[1]) for part in parts if (found := _NOISE.fullmatch(part))]
    noise = round((1 - math.prod(kept)) / 2, 12)  # the chance that an odd number of them flips a label
    rest = "+".join(part for part in parts if not _NOISE.fullmatch(part)) or CLEAN
    return {"name": corruption, "noise": noise, "besides": rest}


def _levels(section: Section) -> dict[str, Any]:
    """Scores of the two agents, where all records state the same."""
    original, target = agent_score(section, "original"), agent_score(section, "target")
    return (
        {} if original is None or target is None else {"original": short(original), "target": short(target)}
    )


def _metric_names(section: Section) -> list[str]:
    """Names of all metrics, the primary one first."""
    names = {
        name: None
        for row in section.rows
        for entry in row.entries.values()
        for result in entry.finished
        for name in result.metrics
    }
    return sorted(names, key=lambda name: (name != section.metric, name != NORMALISED_SCORE))


def _entries(section: Section, decimals: int, commands: Commands) -> list[dict[str, Any]]:
    winners = {column: best(section, column) for column in section.columns}
    names = _metric_names(section)
    return [
        {
            "row": at,
            "column": place,
            "best": any(row is winner for winner in winners[column]),
            **_score(section, row.entries[column], decimals),
            **_again(row.entries[column], commands),
            "cells": [_cell(result, names) for result in _all(row.entries[column])],
        }
        for at, row in enumerate(section.rows)
        for place, column in enumerate(section.columns)
        if column in row.entries
    ]


def _all(entry: Entry) -> list[CellResult]:
    return sorted(entry.results, key=lambda result: result.seed)


def _score(section: Section, entry: Entry, decimals: int) -> dict[str, Any]:
    note = ""
    if entry.unfinished:
        words = sorted({result.status for result in entry.unfinished})
        whole = len(entry.finished) + len(entry.unfinished)
        note = f"{len(entry.finished)} of {whole} seeds finished ({', '.join(words)})"
    if entry.estimate is None:
        return {"text": "/".join(words), "note": note, "mean": None}
    found = score(section, entry)
    return {
        "text": with_error(entry.estimate, decimals),
        "note": note,
        "mean": short(entry.estimate.mean),
        "error": short(entry.estimate.standard_error),
        "interval": ends(found.interval if found else None),
    }


def _again(entry: Entry, commands: Commands) -> dict[str, Any]:
    again = commands.again(entry.results)
    config = next((result.config for result in _all(entry) if result.config), {})
    return {"command": again.command, "unproven": again.note, "planned": again.planned, "config": config}


def _cell(result: CellResult, names: Sequence[str]) -> list[Any]:
    """Seed, status, metrics in their order, seconds, key, reason."""
    return [
        result.seed,
        result.status,
        shorts((result.metrics.get(name) for name in names), 6),
        short(sum(result.seconds.values()), 3),
        result.key,
        on_one_line(result.reason)[:_LONGEST_REASON],
    ]


def _profiles(section: Section) -> dict[str, Any]:
    if not scores(section):
        return {}
    thresholds = thresholds_of(section, THRESHOLDS)
    return {
        "thresholds": shorts(thresholds),
        "curves": [
            {
                "row": _index(section.rows, profile.row),
                "shares": shorts(profile.shares, 3),
                "low": [] if profile.low is None else shorts(profile.low, 3),
                "high": [] if profile.high is None else shorts(profile.high, 3),
            }
            for profile in profiles(section, thresholds)
        ],
    }
