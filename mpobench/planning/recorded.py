"""From a record back to the training that makes it, proven by its key."""

from __future__ import annotations

import functools

from mpobench.planning.cells import Training
from mpobench.planning.env_plan import EnvPlan
from mpobench.planning.tuned_file import TunedValues
from mpobench.protocols import JsonObject, Scale, Tensors
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
    component = objective.configured.component
    fields = {
        name: value
        for name, value in stated_fields(result).items()
        if name in type(component).model_fields and not isinstance(getattr(component, name), Tensors)
    }
    values = TunedValues(fields, stated_training(result))
    dataset = planned.dataset(result.corruption)
    trainings = planned.trainings(dataset, planned.objective(result.objective, values), [result.seed])
    for cells, training in trainings:
        if training is not None and any(cell.key == result.key for cell in cells):
            return training
    return None


def stated_fields(result: CellResult) -> JsonObject:
    """The objective's fields that a record states; of tensors it has digests. Empty if it states none."""
    objective = result.config.get("objective")
    fields = objective.get("fields") if isinstance(objective, dict) else None
    return fields if isinstance(fields, dict) else {}


def stated_training(result: CellResult) -> JsonObject:
    """The training configuration that a record states. Empty if it states none."""
    training = result.config.get("training")
    return training if isinstance(training, dict) else {}


@functools.lru_cache(64)
def _env_plan(registry: Registry, env: str, evaluator: str, scale: Scale) -> EnvPlan:
    return EnvPlan(registry, env, [evaluator], scale, {})
