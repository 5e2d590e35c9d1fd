"""The plan of a suite: its cells and trainings (pure: nothing is trained, nothing written)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from mpobench.errors import RequestError
from mpobench.planning.cells import Cell, Training
from mpobench.planning.env_plan import EnvPlan
from mpobench.planning.suite import Suite
from mpobench.planning.tuned_table import TunedTable
from mpobench.protocols import Objective
from mpobench.registry.build import Configured
from mpobench.registry.objective_files import ObjectiveFile
from mpobench.registry.registry import Registry

_Item = TypeVar("_Item")

MAX_CELLS = 1_000_000
"""A suite of more cells is refused before it is expanded: its plan would not fit into memory."""


@dataclass(frozen=True)
class Plan:
    """Expansion of a suite.

    Attributes:
        cells: Cells of the whole table, each once, skipped ones included, by environment, corruption, objective, seed
            and evaluator.
        trainings: Trainings that the cells need, but for the skipped ones.
        notes: Lines for the user: rows that tuned values do not cover, or cover with what was tuned on other data or in
            another training, and losses that get too small a batch.
    """

    cells: tuple[Cell, ...]
    trainings: tuple[Training, ...]
    notes: tuple[str, ...] = ()


def plan(suite: Suite, registry: Registry) -> Plan:
    """Expands a suite into cells and trainings: a product, each once.

    Raises:
        RequestError: For unknown or broken components, values that are not allowed, two objective files of one name, a
            training configuration that an environment rejects, or more than :data:`MAX_CELLS` cells.
    """
    cells: list[Cell] = []
    trainings: list[Training] = []
    small: dict[str, None] = {}
    envs = suite.envs or (registry.default_env(),)
    plans = [EnvPlan(registry, env, suite.evaluators, suite.scale, suite.training) for env in envs]
    _bounded(suite, len(envs), max(len(env.evaluators) for env in plans))
    tuned = None if suite.tuned is None else TunedTable(suite.tuned, registry)
    for env in _unique(plans, lambda env: env.env.text):
        datasets = _unique(map(env.dataset, suite.corruptions), lambda dataset: dataset.corruption.text)
        untuned = [env.objective(text) for text in suite.objectives]
        _check_names(objective.configured for objective in untuned)
        if tuned is not None:
            tuned.check(env)
        for dataset in datasets:
            objectives = (
                untuned
                if tuned is None or dataset.skip
                else [tuned.objective(env, dataset, text) for text in suite.objectives]
            )
            for objective in _unique(objectives, lambda objective: objective.text):
                if clause := env.small_updates(dataset, objective):
                    small[clause] = None
                for found, training in env.trainings(dataset, objective, range(suite.seed_count)):
                    cells.extend(found)
                    if training is not None:
                        trainings.append(training)
    notes = [] if tuned is None else tuned.notes()
    if small:
        notes.append(f"a loss that depends on its batch has few pairs in an update: {'; '.join(small)}")
    return Plan(tuple(cells), tuple(trainings), tuple(notes))


def _unique(items: Iterable[_Item], key: Callable[[_Item], str]) -> list[_Item]:
    """Items of different keys, in the order of their first appearance; of equal ones the last."""
    return list({key(item): item for item in items}.values())


def _bounded(suite: Suite, envs: int, evaluators: int) -> None:
    """Refuses a suite whose plan would not fit into memory."""
    count = envs * len(suite.corruptions) * len(suite.objectives) * suite.seed_count * evaluators
    if count > MAX_CELLS:
        raise RequestError(
            f"the suite has {count:,} cells, and {MAX_CELLS:,} is the limit: "
            f"{envs} environments × {len(suite.corruptions)} corruptions × {len(suite.objectives)} "
            f"objectives × {suite.seed_count:,} seeds × {evaluators} evaluators; take fewer --seeds, or several suites"
        )


def _check_names(objectives: Iterable[Configured[Objective]]) -> None:
    """Refuses two objective files of one name, whose rows nobody could tell apart."""
    files: dict[str, ObjectiveFile] = {}
    for file in (objective.file for objective in objectives):
        if file is None:
            continue
        first = files.setdefault(file.card.name, file)
        if first.path.resolve() != file.path.resolve():
            raise RequestError(
                f"{first} and {file} are both named {file.card.name!r}: give one of them another name in its file"
            )
