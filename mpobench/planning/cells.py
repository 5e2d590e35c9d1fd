"""Cells of the matrix, and the trainings that they share. A training pickles, and is carried to a worker as it is."""

from __future__ import annotations

from dataclasses import dataclass

from mpobench.protocols import Env, Evaluator, JsonObject, Origin, Scale, TrainingRequest


@dataclass(frozen=True)
class ObjectiveSource:
    """Origin of an objective.

    Attributes:
        origin: Designer of the objective, as its card says.
        plugin: Distribution and version of its plugin: ``mpobench 0.1.0``.
    """

    origin: Origin
    plugin: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One score: a policy trained by one objective on one dataset, scored by one evaluator.

    Attributes:
        env: Canonical spec, like the next three.
        corruption: Corruption of the dataset.
        objective: Canonical with respect to the environment's defaults.
        evaluator: Evaluator of the policy.
        seed: Seed of dataset and training.
        scale: Label of the amount of work; keys hold what it resolved to.
        dataset_key: Content key, like the next two.
        training_key: Key of the policy.
        key: Key of the cell itself: its result's file name.
        source: Origin of the objective.
        skip: The reason why it will not run, or None.
    """

    env: str
    corruption: str
    objective: str
    evaluator: str
    seed: int
    scale: Scale
    dataset_key: str
    training_key: str
    key: str
    source: ObjectiveSource
    skip: str | None = None

    def __str__(self) -> str:
        return f"{self.objective} on {self.env} {self.corruption}, seed {self.seed}"


@dataclass(frozen=True)
class PlannedEvaluator:
    """An evaluator on an environment.

    Attributes:
        text: Canonical spec.
        evaluator: Configured component.
        identity: Part of the key: name, version and fields.
        config: Part of the key: resolved configuration, empty if the evaluator is skipped.
        key: Content key of identity and config.
        skip: The reason why it does not fit the environment, or None.
    """

    text: str
    evaluator: Evaluator
    identity: JsonObject | list[JsonObject]
    config: JsonObject
    key: str
    skip: str | None


@dataclass(frozen=True)
class Training:
    """One policy to train, and the cells that score it.

    Attributes:
        env: Configured environment.
        env_text: Its canonical spec.
        request: Argument of ``Env.train``; its key is the training's content key.
        config: The configuration that the key is made of and that every result records: of environment, corruption,
            dataset, objective and training.
        cells: Cells to run; skipped ones are only in the plan.
        evaluators: One for each cell, in the same order.
    """

    env: Env
    env_text: str
    request: TrainingRequest
    config: JsonObject
    cells: tuple[Cell, ...]
    evaluators: tuple[PlannedEvaluator, ...]

    @property
    def key(self) -> str:
        """Content key."""
        return self.request.key
