"""The command line that makes a recorded cell, with the row that it belongs to, once more."""

from __future__ import annotations

from typing import Any

from mpobench.planning.cells import Training
from mpobench.planning.recorded import without_digests
from mpobench.protocols import CLEAN, JsonObject
from mpobench.registry.registry import Registry
from mpobench.registry.specs import canonical, format_value, parse
from mpobench.results.cell_result import CellResult


def run_arguments(result: CellResult, training: Training, registry: Registry) -> list[str]:
    """Arguments of ``mpobench`` that make a cell and those of the seeds below it.

    Args:
        result: Record of the cell.
        training: Its training, planned anew (:class:`~mpobench.planning.recorded.Recorded`).
        registry: Installed components.
    """
    arguments = ["run", "--envs", result.env]
    if result.corruption != CLEAN:
        arguments += ["--corruptions", result.corruption]
    arguments += ["--objectives", _objective(result, training, registry)]
    if (result.evaluator,) != training.env.default_evaluators:
        arguments += ["--evaluators", result.evaluator]
    arguments += ["--scale", result.scale, "--seeds", str(result.seed + 1)]
    for name, value in training.request.overrides.items():
        arguments += ["--training", f"{name}={format_value(value)}"]
    return arguments


def _objective(result: CellResult, training: Training, registry: Registry) -> str:
    """The objective with every field stated that the environment would set otherwise."""
    identity: JsonObject = result.config["objective"]
    name = parse(result.objective).name
    if "file" in identity:
        return result.objective
    plain = registry.build("objective", name, training.env.objective_defaults).component
    usual: dict[str, Any] = plain.model_dump(mode="json")
    stated = {
        field: value
        for field, value in without_digests(identity["fields"]).items()
        if value != usual.get(field)
    }
    return canonical(name, stated)
