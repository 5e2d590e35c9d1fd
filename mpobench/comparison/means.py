"""Means with their uncertainty: ours by resampling seeds, the paper's by drawing from its standard errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mpobench.comparison.reference import Published, Reference
from mpobench.leaderboard.resampling import resampled_means
from mpobench.leaderboard.standings import Row, Section

Position: TypeAlias = tuple[str, str]
"""Objective, by its name in the paper, and corruption."""


@dataclass(frozen=True)
class Drawn:
    """A mean.

    Attributes:
        values: The mean itself, then what it might have been, an array (1 + resamples,).
        n: Number of seeds; None for a published mean, whose draws are normal.
    """

    values: Any
    n: int | None

    @property
    def mean(self) -> float:
        """The mean."""
        return float(self.values[0])


Means: TypeAlias = Mapping[Position, Drawn]


def published_means(table: Mapping[Position, Published], resamples: int) -> Means:
    """The paper's means: each drawn from a normal distribution with its standard error, independently of the others."""
    import numpy as np

    means = {}
    for (objective, corruption), cell in table.items():
        rng = np.random.default_rng(list(f"{objective} {corruption}".encode()))
        draws = cell.mean + cell.standard_error * rng.standard_normal(resamples)
        means[objective, corruption] = Drawn(np.concatenate([[cell.mean], draws]), None)
    return means


def own_means(rows: Mapping[str, Row], columns: tuple[str, ...], resamples: int) -> Means:
    """Our means, of cells that finished every seed.

    Seeds are resampled: cells with the same seeds together, so that what a seed's dataset does to all objectives
    stays paired, and cells with other seeds independently.
    """
    import numpy as np

    means = {}
    for objective, row in rows.items():
        for column in columns:
            entry = row.finished(column)
            if entry and entry.estimate:
                draws = resampled_means(entry.by_seed, resamples)
                values = np.concatenate([[entry.estimate.mean], draws])
                means[objective, column] = Drawn(values, entry.estimate.n)
    return means


def rows_by_paper(
    section: Section, env: str, paper: Reference
) -> tuple[dict[str, Row], dict[str, list[str]]]:
    """The rows of a table whose objectives are in the paper, by the paper's names.

    Where several rows have one name, the one whose spec states no hyperparameters counts.

    Args:
        section: Table.
        env: The paper's environment.
        paper: The paper's tables.

    Returns:
        The rows, and by name the specs of the rows that were left out, because not exactly one of them counts.
    """
    by_name: defaultdict[str, list[Row]] = defaultdict(list)
    for row in section.rows:
        for name in _names(row, paper):
            by_name[name].append(row)
    rows, ambiguous = {}, {}
    for name in dict.fromkeys(objective for objective, _ in paper.tables[env]):
        candidates = by_name[name]
        plain = [row for row in candidates if not paper.states_hyperparameters(row.objective)]
        chosen = candidates if len(candidates) == 1 else plain
        if len(chosen) == 1 and len(_names(chosen[0], paper)) == 1:
            rows[name] = chosen[0]
        elif candidates:
            ambiguous[name] = [row.objective for row in candidates]
    return rows, ambiguous


def _names(row: Row, paper: Reference) -> set[str]:
    """The paper's names of what a row trained: several, if a field that makes another objective was tuned."""
    return {
        paper.objective_of(row.objective, result.config.get("objective", {}).get("fields"))
        for entry in row.entries.values()
        for result in entry.finished
    }
