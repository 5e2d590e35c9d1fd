"""What the index says of a leaderboard, with a small picture: the best objectives on its first column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpobench.leaderboard.scores import score
from mpobench.leaderboard.standings import Row, Section
from mpobench.leaderboard.statistics import Interval
from mpobench_site.boards import Board
from mpobench_site.digits import short

SHOWN = 5
"""Objectives in the picture of a leaderboard."""

WIDTH = 1000
"""Width of the picture's scale."""


def card_of(board: Board, sections: Sequence[Section]) -> dict[str, Any]:
    """Name, extent and picture of a leaderboard."""
    return {
        "name": board.name,
        "envs": sorted({section.env for section in sections}),
        "scales": sorted({section.scale for section in sections}),
        "objectives": len({row.objective for section in sections for row in section.rows}),
        "corruptions": len({column for section in sections for column in section.columns}),
        "cells": len(board.results),
        "seeds": len({result.seed for result in board.results}),
        "picture": next(filter(None, (_picture(section) for section in sections)), None),
    }


def _picture(section: Section) -> dict[str, Any] | None:
    """Means and intervals of the best rows of the first column, on a scale from 0 to :data:`WIDTH`."""
    for column in section.columns:
        sign = -1.0 if section.higher_is_better else 1.0
        scored = [
            (row, entry.estimate)
            for row in section.rows
            if (entry := row.finished(column)) and entry.estimate  # survivors' means flatter
        ]
        if not scored:
            continue
        scored.sort(key=lambda pair: sign * pair[1].mean)
        bars = [_bar(section, column, row) for row, _ in scored[:SHOWN]]
        low, high = min(bar["low"] for bar in bars), max(bar["high"] for bar in bars)
        room = 0.06 * (high - low) or 1.0
        low, high = low - room, high + room
        for bar in bars:
            bar |= {name: round(WIDTH * (bar[name] - low) / (high - low)) for name in ("low", "mean", "high")}
        return {"column": column, "env": section.env, "metric": section.metric, "bars": bars}
    return None


def _bar(section: Section, column: str, row: Row) -> dict[str, Any]:
    found = score(section, row.entries[column])
    assert found is not None
    drawn = found.interval or Interval(found.value, found.value)
    text = short(found.value, 4)
    return {"label": row.label, "low": drawn.low, "mean": found.value, "high": drawn.high, "text": text}
