"""Records of cells: built from the planned configuration, whose hash is the key, and from the outcome."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mpobench.env_kit.versions import library_versions
from mpobench.planning.cells import Cell, PlannedEvaluator, Training
from mpobench.protocols import Sample, Trained
from mpobench.results.cell_result import CellResult, Status


def measured(
    training: Training,
    cell: Cell,
    planned: PlannedEvaluator,
    metrics: dict[str, float],
    trained: Trained,
    samples: Iterable[Sample] = (),
) -> CellResult:
    """The record of a cell that has its score."""
    primary = planned.evaluator.metrics[0]
    return CellResult(
        **_identity(cell),
        **_circumstances(training, planned),
        status="ok",
        metrics=metrics,
        primary=primary.name,
        unit=primary.unit,
        higher_is_better=primary.higher_is_better,
        curves=_short(trained.curves),
        seconds=trained.seconds,
        dataset=trained.dataset,
        samples=tuple(samples),
    )


def unfinished(
    training: Training,
    cell: Cell,
    planned: PlannedEvaluator,
    status: Status,
    reason: str,
    curves: dict[str, list[Any]] | None = None,
) -> CellResult:
    """The record of a cell that failed or diverged."""
    return CellResult(
        **_identity(cell),
        **_circumstances(training, planned),
        status=status,
        reason=reason,
        curves=_short(curves or {}),
    )


def _short(curves: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Curves to five significant digits: published results are files to be read, and mostly curves."""
    return {
        name: [float(f"{value:.5g}") if isinstance(value, float) else value for value in values]
        for name, values in curves.items()
    }


def skipped(cell: Cell) -> CellResult:
    """The record of a cell that its environment or evaluator skips."""
    return CellResult(**_identity(cell), status="skipped", reason=cell.skip or "")


def _identity(cell: Cell) -> dict[str, Any]:
    return {
        "key": cell.key,
        "training_key": cell.training_key,
        "dataset_key": cell.dataset_key,
        "env": cell.env,
        "corruption": cell.corruption,
        "objective": cell.objective,
        "evaluator": cell.evaluator,
        "seed": cell.seed,
        "scale": cell.scale,
        "origin": cell.source.origin,
        "plugin": cell.source.plugin,
    }


def _circumstances(training: Training, planned: PlannedEvaluator) -> dict[str, Any]:
    evaluator = {"evaluator": planned.identity, "evaluation": planned.config}
    return {
        "config": {**training.config, **evaluator},
        "pairs_per_update": training.env.pairs_per_update(training.request),
        "versions": library_versions(training.env),
    }
