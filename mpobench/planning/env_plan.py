"""The plan of one environment at one scale: configurations are resolved once, for the keys and for the records.

A dataset is keyed by environment, corruption and seed; a training by its dataset, objective and resolved configuration;
a cell by its training and evaluator. So a new evaluator never retrains anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mpobench.errors import MpobenchError, PluginError, RequestError, one_line
from mpobench.planning.cell_keys import (
    cell_key,
    corruption_key,
    dataset_key,
    env_key,
    evaluator_key,
    recipe_key,
    training_key,
)
from mpobench.planning.cells import Cell, ObjectiveSource, PlannedEvaluator, Training
from mpobench.planning.tuned_file import TunedValues
from mpobench.protocols import (
    Component,
    DatasetCorruption,
    DatasetRequest,
    Evaluator,
    JsonObject,
    Objective,
    Scale,
    Searched,
    TrainingRequest,
)
from mpobench.registry.build import Configured
from mpobench.registry.registry import Registry


@dataclass(frozen=True)
class PlannedDataset:
    """A corruption on an environment: its key but for the seed, and the reason why it is skipped, or None."""

    corruption: Configured[DatasetCorruption]
    key: str
    skip: str | None


@dataclass(frozen=True)
class PlannedObjective:
    """An objective on an environment, with its training's values.

    Attributes:
        configured: Objective over the environment's defaults, and over tuned values where it has some.
        overrides: Fields of the training configuration: tuned ones, and above them the user's.
    """

    configured: Configured[Objective]
    overrides: Mapping[str, Any]

    @property
    def text(self) -> str:
        """Canonical spec."""
        return self.configured.text

    @property
    def name(self) -> str:
        """Name without any fields: the card's, or the objective file's."""
        file = self.configured.file
        return self.configured.registered.card.name if file is None else file.card.name

    @cached_property
    def source(self) -> ObjectiveSource:
        """Origin of the objective."""
        return ObjectiveSource(self.configured.origin, self.configured.registered.source)


@contextmanager
def _blamed(component: Configured[Component]) -> Iterator[None]:
    """Turns an exception of a component into an error that names its plugin."""
    try:
        yield
    except MpobenchError:
        raise
    except Exception as error:
        card, source = component.registered.card, component.registered.source
        raise PluginError(f"{card.kind} {card.name!r} of {source} failed: {one_line(error)}") from error


class EnvPlan:
    """One environment at one scale, with its evaluators: what many trainings share is worked out once.

    Args:
        registry: Installed components.
        env: Spec of the environment.
        evaluators: Specs; none means the environment's own.
        scale: Amount of work.
        overrides: Fields of the training configuration that the user set.

    Raises:
        RequestError: If a component is unknown or broken, or the environment cannot serve the scale.
    """

    def __init__(
        self,
        registry: Registry,
        env: str,
        evaluators: Iterable[str],
        scale: Scale,
        overrides: Mapping[str, Any],
    ) -> None:
        self._registry, self.scale, self.overrides = registry, scale, dict(overrides)
        self.env = registry.build("env", env)
        self._config, self._key = self._data(scale)
        specs = tuple(evaluators) or self.env.component.default_evaluators
        built = [registry.build("evaluator", text) for text in specs]
        unique = {evaluator.text: evaluator for evaluator in built}
        self.evaluators = tuple(map(self._evaluator, unique.values()))

    def _evaluator(self, built: Configured[Evaluator]) -> PlannedEvaluator:
        env, evaluator = self.env.component, built.component
        with _blamed(built):
            skip = evaluator.skip_reason(env)
            # An evaluator may be unable to configure itself for an environment that it does not fit.
            config = None if skip else evaluator.config(env, self.scale)
        identity = built.identity
        key = evaluator_key(identity, config)
        return PlannedEvaluator(built.text, evaluator, identity, config or {}, key, skip)

    def _data(self, scale: Scale) -> tuple[JsonObject, str]:
        with _blamed(self.env):
            config = self.env.component.dataset_config(scale)
        return config, env_key(self.env.identity, config)

    def data_key(self, scale: Scale) -> str:
        """Content key of the environment and of all that its datasets share at a scale."""
        return self._data(scale)[1]

    def dataset(self, corruption: str) -> PlannedDataset:
        """A corruption of this environment's datasets."""
        built = self._registry.build("corruption", corruption)
        key = corruption_key(self._key, built.identity)
        with _blamed(self.env):
            return PlannedDataset(built, key, self.env.component.skip_reason(built.component))

    def objective(self, text: str, tuned: TunedValues | None = None) -> PlannedObjective:
        """An objective: what its spec states, over tuned values, over this environment's defaults.

        Args:
            text: Spec.
            tuned: Tuned values of the objective and its training.

        Raises:
            RequestError: If it is unknown, or a value is not allowed.
        """
        values, defaults = tuned or TunedValues(), self.env.component.objective_defaults
        built = self._registry.build(
            "objective", text, lambda name, fields: {**defaults(name, fields), **values.fields}
        )
        return PlannedObjective(built, {**values.training, **self.overrides})

    def request(
        self, dataset: PlannedDataset, objective: PlannedObjective, seed: int, recipe: str | None = None
    ) -> TrainingRequest:
        """A training at a seed; its key is empty unless the key of its recipe is given."""
        built = objective.configured
        key = dataset_key(dataset.key, seed)
        data = DatasetRequest(dataset.corruption.component, seed, self.scale, key)
        return TrainingRequest(
            data,
            (built.base or built.registered).card.name,
            built.component,
            seed,
            objective.overrides,
            "" if recipe is None else training_key(key, recipe, seed),
        )

    def training_config(self, dataset: PlannedDataset, objective: PlannedObjective) -> JsonObject:
        """The resolved training configuration. Asked once, at seed 0: the seed enters the keys by itself.

        Raises:
            RequestError: For an override that is unknown or out of range.
        """
        with _blamed(self.env):
            return self.env.component.training_config(self.request(dataset, objective, 0))

    def small_updates(self, dataset: PlannedDataset, objective: PlannedObjective) -> str | None:
        """A clause for the user where a loss that depends on its batch gets fewer pairs than it asks for."""
        needed = objective.configured.component.min_pairs
        if needed == 1 or dataset.skip:
            return None
        with _blamed(self.env):
            given = self.env.component.pairs_per_update(self.request(dataset, objective, 0))
        if given is None or given >= needed:
            return None
        return f"{objective.text} on {self.env.text} ({given} where it was published with {needed})"

    def training_searches(self, dataset: PlannedDataset, objective: PlannedObjective) -> dict[str, Searched]:
        """The training fields that tuning may search."""
        with _blamed(self.env):
            return self.env.component.training_searches(self.request(dataset, objective, 0))

    def trainings(
        self, dataset: PlannedDataset, objective: PlannedObjective, seeds: Iterable[int]
    ) -> Iterator[tuple[tuple[Cell, ...], Training | None]]:
        """For each seed, all cells, and the training that they need unless all of them are skipped."""
        config = None if dataset.skip else self.training_config(dataset, objective)
        recipe = recipe_key(objective.configured.identity, config)
        record = self._record(dataset, objective.configured, config or {})
        for seed in seeds:
            request = self.request(dataset, objective, seed, recipe)
            cells = tuple(self._cell(dataset, objective, evaluator, request) for evaluator in self.evaluators)
            due = [
                (cell, evaluator)
                for cell, evaluator in zip(cells, self.evaluators, strict=True)
                if not cell.skip
            ]
            yield (
                cells,
                Training(
                    self.env.component,
                    self.env.text,
                    request,
                    record,
                    tuple(cell for cell, _ in due),
                    tuple(evaluator for _, evaluator in due),
                )
                if due
                else None,
            )

    def _cell(
        self,
        dataset: PlannedDataset,
        objective: PlannedObjective,
        evaluator: PlannedEvaluator,
        request: TrainingRequest,
    ) -> Cell:
        return Cell(
            self.env.text,
            dataset.corruption.text,
            objective.text,
            evaluator.text,
            request.seed,
            self.scale,
            request.dataset.key,
            request.key,
            cell_key(request.key, evaluator.key),
            objective.source,
            dataset.skip or evaluator.skip,
        )

    def _record(
        self, dataset: PlannedDataset, objective: Configured[Objective], training: JsonObject
    ) -> JsonObject:
        return {
            "env": self.env.identity,
            "corruption": dataset.corruption.identity,
            "dataset": self._config,
            "objective": objective.identity,
            "training": training,
        }


def plan_training(
    registry: Registry,
    env: str,
    corruption: str,
    objective: str,
    seed: int,
    scale: Scale,
    *,
    evaluators: Iterable[str] = (),
    overrides: Mapping[str, Any] | None = None,
) -> Training:
    """A single training, with the keys that it has in every run.

    Raises:
        RequestError: If a component is unknown, broken or skipped.
    """
    planned = EnvPlan(registry, env, evaluators, scale, overrides or {})
    ((cells, training),) = planned.trainings(
        planned.dataset(corruption), planned.objective(objective), [seed]
    )
    if training is None:
        raise RequestError(f"{objective} on {env} {corruption} is skipped: {cells[0].skip}")
    return training
