"""The curves of some results: means over the seeds, for one corruption of each table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpobench import RequestError
from mpobench.leaderboard.learning_curves import mean_curve, quantities
from mpobench.leaderboard.standings import Entry, Section, standings
from mpobench.leaderboard.statistics import Estimate
from mpobench.registry.suggestions import suggest
from mpobench.results.store import read_results

KL = "kl"
"""Curve of the divergence from the reference policy, or the evaluator's metric of that name, at the end."""


@dataclass(frozen=True)
class TrainingCurves:
    """The trainings of one objective on one corruption.

    Attributes:
        name: Name of the row.
        by_quantity: Means over the seeds, one entry per epoch, NaN where no seed has a value.
        reward: Primary metric at the end.
        divergence: KL(π ‖ π_ref) at the end, a step or token, in nats; NaN where it was not measured.
    """

    name: str
    by_quantity: dict[str, list[float]]
    reward: Estimate
    divergence: float

    def known(self, quantity: str) -> bool:
        """Whether there is any value of a quantity."""
        return any(map(math.isfinite, self.by_quantity.get(quantity, ())))


@dataclass(frozen=True)
class CurveTable:
    """The curves of one table of the leaderboard, on one of its corruptions.

    Attributes:
        section: Table.
        corruption: Column.
        rows: Rows that finished a seed, in the order of the table; at least one.
    """

    section: Section
    corruption: str
    rows: tuple[TrainingCurves, ...]


def curve_tables(results: Path, corruption: str | None, objectives: Sequence[str] | None) -> list[CurveTable]:
    """The tables that have curves.

    Args:
        results: Results folder, or published file.
        corruption: Column; None for the first one of each table.
        objectives: Rows to keep, by objective; None for all.

    Raises:
        RequestError: If the corruption or an objective is in no table, or nothing there has finished.
    """
    sections = standings(read_results(results))
    _check("objective", objectives or (), (row.objective for s in sections for row in s.rows), results)
    _check(
        "corruption", [corruption] if corruption else (), (c for s in sections for c in s.columns), results
    )
    tables = []
    for section in sections:
        column = corruption or section.columns[0]
        rows = tuple(
            _curves(row.label, row.entries[column])
            for row in section.rows
            if (objectives is None or row.objective in objectives)
            and column in row.entries
            and row.entries[column].finished
        )
        if any(row.by_quantity for row in rows):
            tables.append(CurveTable(section, column, rows))
    if not tables:
        raise RequestError(f"no curves to draw from {results}: no training that it asks for has finished")
    return tables


def _check(kind: str, asked: Iterable[str], there: Iterable[str], results: Path) -> None:
    known = sorted(set(there))
    for name in asked:
        if name not in known:
            raise RequestError(f"no results of {kind} {name!r} in {results}: {suggest(name, known)}")


def _curves(name: str, entry: Entry) -> TrainingCurves:
    means = {
        quantity: [each.mean if each else math.nan for each in mean_curve(entry.finished, quantity)]
        for quantity in sorted(quantities(entry.finished))
    }
    at_end = [value for value in means.get(KL, ())[-1:] if math.isfinite(value)]
    measured = at_end or [result.metrics[KL] for result in entry.finished if KL in result.metrics]
    assert entry.estimate is not None  # some seed has finished
    return TrainingCurves(
        name, means, entry.estimate, sum(measured) / len(measured) if measured else math.nan
    )
