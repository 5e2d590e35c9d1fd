"""Studies: an objective on a dataset, and the trainings of its trials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mpobench.errors import RequestError
from mpobench.files.keys import content_key
from mpobench.planning.cells import Cell, Training
from mpobench.planning.env_plan import EnvPlan, PlannedDataset, PlannedObjective
from mpobench.planning.suite import Suite
from mpobench.protocols import Metric
from mpobench.registry.registry import Registry
from mpobench.tuning.settings import Tuning
from mpobench.tuning.space import Point, Space, find_space

VERSION = 1
"""Version of the search, raised when the same request has another outcome: no study goes on as another one."""


@dataclass(frozen=True, eq=False)
class Study:
    """The tuning of one objective on one dataset.

    Attributes:
        env: Environment, with the evaluator whose first metric is the score.
        dataset: Corruption.
        spec: Spec of the objective, as the user wrote it.
        objective: Objective over the environment's defaults.
        space: Fields that are searched.
        key: Content key of all that decides the outcome, but for the number of trials.
    """

    env: EnvPlan
    dataset: PlannedDataset
    spec: str
    objective: PlannedObjective
    space: Space
    key: str

    @property
    def name(self) -> str:
        """Name in the journal."""
        return f"{self} [{self.key}]"

    def __str__(self) -> str:
        return f"{self.objective.text} on {self.env.env.text} {self.dataset.corruption.text}"

    @property
    def metric(self) -> Metric:
        """The score."""
        return self.env.evaluators[0].evaluator.metrics[0]

    @property
    def sign(self) -> float:
        """Factor that makes more of the metric better."""
        return 1.0 if self.metric.higher_is_better else -1.0

    def trainings(self, point: Point, seeds: Iterable[int]) -> list[tuple[Cell, Training]]:
        """The training of a point at each seed, with the cell that scores it.

        Those of the tuned values in a run have the same keys.

        Raises:
            RequestError: If the objective or the environment rejects the values.
        """
        planned = self.env.objective(self.spec, self.space.values(point))
        return [
            (cells[0], training)
            for cells, training in self.env.trainings(self.dataset, planned, seeds)
            if training is not None
        ]


@dataclass(frozen=True)
class Studies:
    """All studies of a request, and a line for each dataset that is skipped."""

    studies: tuple[Study, ...]
    skipped: tuple[str, ...]


def plan_studies(suite: Suite, tuning: Tuning, registry: Registry) -> Studies:
    """The studies of a request: every objective on every dataset.

    Raises:
        RequestError: For an unknown component, or an objective that has nothing to tune.
    """
    studies: dict[tuple[str, str, str], Study] = {}
    skipped: list[str] = []
    for text in suite.envs or (registry.default_env(),):
        evaluators = suite.evaluators or registry.build("env", text).component.default_evaluators
        env = EnvPlan(registry, text, evaluators[:1], suite.scale, suite.training)
        for corruption in suite.corruptions:
            dataset = env.dataset(corruption)
            if reason := dataset.skip or env.evaluators[0].skip:
                skipped.append(f"{env.env.text} {dataset.corruption.text} is skipped: {reason}")
                continue
            for spec in suite.objectives:
                study = _study(tuning, env, dataset, spec)
                studies[env.env.text, dataset.corruption.text, study.objective.text] = study
    if not studies:
        raise RequestError(f"nothing to tune: {'; '.join(skipped)}")
    return Studies(tuple(studies.values()), tuple(dict.fromkeys(skipped)))


def _study(tuning: Tuning, env: EnvPlan, dataset: PlannedDataset, spec: str) -> Study:
    objective = env.objective(spec)
    space = find_space(env, dataset, objective)
    if not space.dimensions:
        raise RequestError(
            f"{objective.text} on {env.env.text} has nothing to tune: neither the objective nor the training has a "
            "field with a search range that is not set already"
        )
    decided = {
        "version": VERSION,
        "dataset": dataset.key,
        "objective": objective.configured.identity,
        "training": env.training_config(dataset, objective),
        "space": space.describe(),
        "rungs": tuning.rungs,
        "seed": tuning.seed,
        "evaluator": env.evaluators[0].key,
    }
    return Study(env, dataset, spec, objective, space, content_key(decided))
