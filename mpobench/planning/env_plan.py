"""The plan of one environment at one scale: configurations are resolved once, for the keys and for the records.

A dataset is keyed by environment, corruption and seed; a training by its dataset, objective and resolved configuration;
a cell by its training and evaluator. So a new evaluator never retrains anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mpobench.errors import MpobenchError, PluginError, RequestError, one_line
from mpobench.files.keys import KEY_VERSION, content_key
from mpobench.planning.cells import Cell, ObjectiveSource, PlannedEvaluator, Training
from mpobench.protocols import (
    Component,
    DatasetCorruption,
    DatasetRequest,
    Evaluator,
    JsonObject,
    Objective,
    Scale,
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
        self._registry, self.scale, self._overrides = registry, scale, dict(overrides)
        self.env = registry.build("env", env)
        with _blamed(self.env):
            self._config = self.env.component.dataset_config(scale)
        self._key = content_key({"identity": self.env.identity, "config": self._config})
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
        key = content_key({"identity": identity, "config": config})
        return PlannedEvaluator(built.text, evaluator, identity, config or {}, key, skip)

    def dataset(self, corruption: str) -> PlannedDataset:
        """A corruption of this environment's datasets."""
        built = self._registry.build("corruption", corruption)
        key = content_key({"version": KEY_VERSION, "env": self._key, "corruption": built.identity})
        with _blamed(self.env):
            return PlannedDataset(built, key, self.env.component.skip_reason(built.component))

    def objective(self, text: str) -> Configured[Objective]:
        """An objective over this environment's defaults."""
        return self._registry.build("objective", text, self.env.component.objective_defaults)

    def trainings(
        self, dataset: PlannedDataset, objective: Configured[Objective], seeds: Iterable[int]
    ) -> Iterator[tuple[tuple[Cell, ...], Training | None]]:
        """For each seed, all cells, and the training that they need unless all of them are skipped."""
        name = (objective.base or objective.registered).card.name

        def request(seed: int, dataset_key: str, key: str = "") -> TrainingRequest:
            data = DatasetRequest(dataset.corruption.component, seed, self.scale, dataset_key)
            return TrainingRequest(data, name, objective.component, seed, self._overrides, key)

        # Asked once, at seed 0: the seed enters the keys by itself.
        at_seed_0 = request(0, content_key([dataset.key, 0]))
        with _blamed(self.env):
            config = None if dataset.skip else self.env.component.training_config(at_seed_0)
        recipe = content_key({"objective": objective.identity, "config": config})
        record = self._record(dataset, objective, config or {})
        source = ObjectiveSource(objective.origin, objective.registered.source)
        for seed in seeds:
            dataset_key = content_key([dataset.key, seed])
            key = content_key([dataset_key, recipe, seed])
            cells = tuple(
                self._cell(dataset, objective, evaluator, seed, dataset_key, key)
                for evaluator in self.evaluators
            )
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
                    request(seed, dataset_key, key),
                    source,
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
        objective: Configured[Objective],
        evaluator: PlannedEvaluator,
        seed: int,
        dataset_key: str,
        training_key: str,
    ) -> Cell:
        return Cell(
            self.env.text,
            dataset.corruption.text,
            objective.text,
            evaluator.text,
            seed,
            self.scale,
            dataset_key,
            training_key,
            content_key([training_key, evaluator.key]),
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
