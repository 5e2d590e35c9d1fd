"""Results arranged as the tables of a leaderboard: who stands where, before anything is formatted.

A section is one environment, evaluator and scale; its rows are objectives, its columns corruptions. Nothing
here depends on the order of the results.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any, get_args

from mpobench.errors import RequestError
from mpobench.leaderboard.resampling import affordable_resamples
from mpobench.leaderboard.statistics import Estimate, mean_and_standard_error
from mpobench.leaderboard.variants import variants
from mpobench.protocols import CLEAN, Origin
from mpobench.results.cell_result import CellResult

ORIGINS: tuple[Origin, ...] = get_args(Origin)
"""Groups of rows, in the order of the paper's Table 1."""

SCALES = ("paper", "quick", "smoke")
"""Sections in order of how much their numbers weigh."""


@dataclass(frozen=True)
class Entry:
    """One objective on one corruption.

    Attributes:
        finished: Results with status ``ok``, by seed.
        unfinished: The other results, by seed. They are reported, never averaged.
    """

    finished: tuple[CellResult, ...]
    unfinished: tuple[CellResult, ...]

    @property
    def results(self) -> tuple[CellResult, ...]:
        """All of them, the finished ones first."""
        return (*self.finished, *self.unfinished)

    @cached_property
    def estimate(self) -> Estimate | None:
        """Mean and standard error of the primary metric over the finished seeds; None without any."""
        return mean_and_standard_error(list(self.by_seed.values())) if self.by_seed else None

    @cached_property
    def by_seed(self) -> dict[int, float]:
        """The primary metric of each finished seed, in the order of the seeds."""
        return {result.seed: result.metrics[result.primary] for result in self.finished}


@dataclass(frozen=True)
class Row:
    """One objective, in one configuration.

    Attributes:
        objective: Canonical spec.
        variant: Fields that tell this configuration from the objective's others in the section, or "".
        origin: Designer.
        entries: Entries by corruption; a corruption that was not run is absent.
    """

    objective: str
    variant: str
    origin: Origin
    entries: dict[str, Entry]

    @property
    def label(self) -> str:
        """Name in plain text: the objective, and what tells this configuration from its others."""
        return f"{self.objective} ({self.variant})" if self.variant else self.objective

    def estimate(self, column: str) -> Estimate | None:
        """The estimate on a corruption; None if no seed of it finished, or it was not run."""
        return self.entries[column].estimate if column in self.entries else None

    def finished(self, column: str) -> Entry | None:
        """The entry of a corruption, if every seed that it has finished; None otherwise."""
        entry = self.entries.get(column)
        return entry if entry and entry.finished and not entry.unfinished else None


@dataclass(frozen=True)
class Section:
    """A table: one environment, evaluator and scale.

    Attributes:
        env: Canonical spec.
        evaluator: Canonical spec.
        scale: Amount of work.
        metric: Name of the primary metric, "" if nothing finished.
        unit: Unit of the primary metric.
        higher_is_better: Direction of the primary metric.
        columns: Corruptions, the clean one first, then in natural order.
        rows: Rows by origin, then by mean rank over the columns, best first.
    """

    env: str
    evaluator: str
    scale: str
    metric: str
    unit: str
    higher_is_better: bool
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @cached_property
    def resamples(self) -> int:
        """Bootstrap samples of an interval: fewer for very large tables, and for very many seeds."""
        return affordable_resamples(
            [len(entry.finished) for row in self.rows for entry in row.entries.values()]
        )

    @cached_property
    def usual_update(self) -> int | None:
        """The most frequent number of pairs in an update, as far as results say; of equally frequent ones the least."""
        counts = Counter(
            result.pairs_per_update
            for row in self.rows
            for entry in row.entries.values()
            for result in entry.finished
        )
        return min(counts, key=lambda pairs: (-counts[pairs], pairs or 0), default=None)

    @cached_property
    def complete(self) -> tuple[tuple[str, ...], tuple[Row, ...]]:
        """The columns that count over all corruptions, and the rows that finished every seed of each.

        A column that is skipped in every row asks what the environment cannot do, and does not count.
        """
        entries = [(column, entry) for row in self.rows for column, entry in row.entries.items()]
        counting = {c for c, e in entries if e.finished or any(r.status != "skipped" for r in e.unfinished)}
        columns = tuple(column for column in self.columns if column in counting)
        rows = tuple(row for row in self.rows if columns and all(map(row.finished, columns)))
        return columns, rows


def standings(results: Iterable[CellResult]) -> tuple[Section, ...]:
    """Arranges results as tables.

    Raises:
        RequestError: If two results claim one place in a table, or the results of a table disagree on the
            metric to rank by.
    """

    def place(result: CellResult) -> tuple[Any, ...]:
        return natural(result.env), natural(result.evaluator), SCALES.index(result.scale)

    ordered = sorted(results, key=lambda result: (place(result), result.seed, result.key))
    return tuple(_section(list(group)) for _, group in groupby(ordered, key=place))


@lru_cache(10_000)
def natural(text: str) -> tuple[Any, ...]:
    """A sort key under which ``noisy:0.3`` precedes ``noisy:2`` and that precedes ``noisy:10``."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)", text)
    return tuple(float(part) if i % 2 else part for i, part in enumerate(parts)), text


def _section(results: list[CellResult]) -> Section:
    first = results[0]
    where = f"{first.env}, {first.evaluator}, {first.scale} scale"
    metrics = sorted({(r.primary, r.unit, r.higher_is_better) for r in results if r.status == "ok"})
    if len(metrics) > 1:
        names = " and ".join(f"{name} ({unit})" for name, unit, _ in metrics)
        raise RequestError(f"{where}: results are ranked by {names}: keep them in separate results folders")
    metric, unit, higher_is_better = metrics[0] if metrics else ("", "", True)
    columns = sorted({r.corruption for r in results}, key=lambda text: (text != CLEAN, natural(text)))
    by_objective = defaultdict(list)
    for result in results:
        by_objective[result.objective].append(result)
    rows = [row for group in by_objective.values() for row in _rows(group, where)]
    return Section(
        env=first.env,
        evaluator=first.evaluator,
        scale=first.scale,
        metric=metric,
        unit=unit,
        higher_is_better=higher_is_better,
        columns=tuple(columns),
        rows=tuple(_in_order(rows, columns, 1.0 if higher_is_better else -1.0)),
    )


def _rows(results: list[CellResult], where: str) -> Iterator[Row]:
    """The rows of one objective: one, unless its cells were run in several configurations."""
    # A cell that was refused beforehand has no configuration: it belongs to every variant that lacks it, once,
    # although each configuration that it was asked for with left a record of the refusal.
    refused: dict[tuple[str, int], CellResult] = {}
    asked = []
    for result in results:
        if result.status == "skipped" and not result.config:
            refused.setdefault((result.corruption, result.seed), result)
        else:
            asked.append(result)
    for variant, own in variants(asked).items():
        there = {(result.corruption, result.seed) for result in own}
        mine = [*own, *(result for place, result in refused.items() if place not in there)]
        by_corruption = defaultdict(list)
        for result in sorted(mine, key=lambda result: result.seed):
            by_corruption[result.corruption].append(result)
        yield Row(
            objective=mine[0].objective,
            variant=variant,
            origin=min((result.origin for result in mine), key=ORIGINS.index),
            entries={corruption: _entry(cell, where) for corruption, cell in by_corruption.items()},
        )


def _entry(cell: list[CellResult], where: str) -> Entry:
    by_seed: dict[int, CellResult] = {}
    for result in cell:
        other = by_seed.setdefault(result.seed, result)
        if other is not result:
            raise RequestError(
                f"{where}: two results for {result.objective} on {result.corruption}, seed {result.seed} "
                f"(cells {other.key} and {result.key}): move one of them away"
            )
    return Entry(
        finished=tuple(result for result in cell if result.status == "ok"),
        unfinished=tuple(result for result in cell if result.status != "ok"),
    )


def _in_order(rows: list[Row], columns: Sequence[str], sign: float) -> list[Row]:
    """Rows by origin, then mean rank over the columns; ties share a rank, and no mean ranks last."""
    total = [0.0] * len(rows)
    for column in columns:
        estimates = [row.estimate(column) for row in rows]
        scores = [sign * estimate.mean if estimate else float("-inf") for estimate in estimates]
        for i, score in enumerate(scores):
            total[i] += sum(other > score for other in scores) + scores.count(score) / 2
    keyed = [
        ((ORIGINS.index(row.origin), rank, natural(row.objective), natural(row.variant)), row)
        for row, rank in zip(rows, total, strict=True)
    ]
    return [row for _, row in sorted(keyed, key=lambda pair: pair[0])]
