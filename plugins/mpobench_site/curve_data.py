"""Learning curves of a table: means over the seeds, with their standard errors, of whatever the records hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpobench.leaderboard.learning_curves import STAGE, mean_curve, quantities
from mpobench.leaderboard.standings import Section
from mpobench.results.cell_result import CellResult
from mpobench_site.digits import short


def curve_data(section: Section) -> dict[str, Any]:
    """The quantities, and for each row and column one list of means and one of errors a quantity."""
    names = quantities(
        result for row in section.rows for entry in row.entries.values() for result in entry.finished
    )
    return {
        "quantities": names,
        "series": [
            {
                "row": at,
                "column": place,
                "stages": entry.finished[0].curves.get(STAGE, []),
                "values": [_mean_curve(entry.finished, name) for name in names],
            }
            for at, row in enumerate(section.rows)
            for place, column in enumerate(section.columns)
            if (entry := row.entries.get(column)) and entry.finished
        ],
    }


def _mean_curve(results: Sequence[CellResult], name: str) -> list[list[Any]]:
    """Mean and standard error of each epoch."""
    curve = mean_curve(results, name)
    means = [short(estimate.mean, 4) if estimate else None for estimate in curve]
    return [means, [short(estimate.standard_error, 3) if estimate else None for estimate in curve]]


def logp_path(section: Section, row: int) -> list[tuple[float, float]]:
    """The path of a row's mean (log π(τ_w), log π(τ_l)) over the epochs, on the first column that has curves."""
    for entry in (section.rows[row].entries.get(column) for column in section.columns):
        if entry is None or not entry.finished:
            continue
        chosen, rejected = (_mean_curve(entry.finished, f"logp_{side}")[0] for side in ("chosen", "rejected"))
        path = [(x, y) for x, y in zip(chosen, rejected, strict=False) if x is not None and y is not None]
        if path:
            return path
    return []
