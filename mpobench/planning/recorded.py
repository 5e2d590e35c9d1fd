"""From a record back to the training that makes it, proven by its key."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from mpobench.planning.cells import Training
from mpobench.planning.env_plan import EnvPlan
from mpobench.planning.tuned_file import TunedValues
from mpobench.protocols import Scale, Tensors
from mpobench.registry.registry import Registry
from mpobench.results.cell_result import CellResult


def recorded_training(result: CellResult, registry: Registry) -> Training | None:
    """The training whose policy a record scored, as the installed version plans it.

    What the record's configuration states of objective and training stands in place of any tuned file.

    Args:
        result: Record with a configuration.
        registry: Installed components.

    Returns:
        The training; None if the installed version would make another cell of it: a component has changed, or an
        objective file is not there.

    Raises:
        RequestError: If a component is not installed, or refuses what the record states.
    """
    planned = _env_plan(registry, result.env, result.evaluator, result.scale)
    objective = planned.objective(result.objective)
    stated: dict[str, Any] = result.config.get("objective", {}).get("fields", {})
    component = objective.configured.component
    fields = {
        name: value
        for name, value in stated.items()
        if hasattr(component, name) and not isinstance(getattr(component, name), Tensors)
    }
    values = TunedValues(fields, result.config.get("training", {}))
    dataset = planned.dataset(result.corruption)
    trainings = planned.trainings(dataset, planned.objective(result.objective, values), [result.seed])
    for cells, training in trainings:
        if training is not None and any(cell.key == result.key for cell in cells):
            return training
    return None


@functools.lru_cache(64)
def _env_plan(registry: Registry, env: str, evaluator: str, scale: Scale) -> EnvPlan:
    return EnvPlan(registry, env, [evaluator], scale, {})


def keys_of(trainings: Iterable[Training]) -> frozenset[str]:
    """Keys of the cells of some trainings."""
    return frozenset(cell.key for training in trainings for cell in training.cells)
