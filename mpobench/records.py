"""Writing down what a cell came to: the record that goes to disk, whatever the outcome."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mpobench.building import Configured
from mpobench.cards import ObjectiveCard
from mpobench.cells import Cell, Training
from mpobench.protocols import Env, Evaluator, Objective
from mpobench.results import CellResult, Origin, Status
from mpobench.suite import Plan
from mpobench.workspace import Sample


def measured(
    training: Training,
    cell: Cell,
    evaluator: Configured[Evaluator],
    metrics: dict[str, float],
    curves: dict[str, list[Any]],
    seconds: dict[str, float],
    samples: Iterable[Sample] = (),
) -> CellResult:
    """The record of a cell that has its score."""
    primary = evaluator.component.metrics[0]
    return CellResult(
        **_identity(cell),
        **_circumstances(training, cell),
        status="ok",
        metrics=metrics,
        primary=primary.name,
        unit=primary.unit,
        higher_is_better=primary.higher_is_better,
        curves=curves,
        seconds=seconds,
        samples=tuple(samples),
    )


def unfinished(
    training: Training, cell: Cell, status: Status, reason: str, curves: dict[str, list[Any]] | None = None
) -> CellResult:
    """The record of a cell that failed or diverged."""
    return CellResult(
        **_identity(cell),
        **_circumstances(training, cell),
        status=status,
        reason=reason,
        curves=curves or {},
    )


def refused(cell: Cell, plan: Plan) -> CellResult:
    """The record of a cell that its environment or evaluator refuses to run."""
    objective = plan.objectives[cell.env, cell.objective]
    return CellResult(
        **_identity(cell),
        origin=_origin(objective),
        plugin=objective.registered.source,
        status="skipped",
        reason=cell.skip or "",
    )


def _origin(objective: Configured[Objective]) -> Origin:
    if objective.file is not None:
        return objective.file.card.origin
    card = objective.registered.card
    return card.origin if isinstance(card, ObjectiveCard) else "human"


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
    }


def _circumstances(training: Training, cell: Cell) -> dict[str, Any]:
    env = training.env.component
    evaluator = next(each for each in training.evaluators if each.text == cell.evaluator)
    return {
        "origin": _origin(training.objective),
        "plugin": training.objective.registered.source,
        "config": {
            "env": training.env.identity,
            "corruption": training.corruption.identity,
            "dataset": env.dataset_config(cell.scale),
            "objective": training.objective.identity,
            "training": env.training_config(training.request),
            "evaluator": evaluator.identity,
            "evaluation": evaluator.component.config(env, cell.scale),
        },
        "versions": {"mpobench": version("mpobench")} | library_versions(env),
    }


def library_versions(env: Env) -> dict[str, str]:
    """Versions of the libraries that an environment names, where they are installed."""
    found = {}
    for name in env.libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
