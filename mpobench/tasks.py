"""In a worker: one task of a plan, made from what a pickle can carry, and written to where the next task finds it."""

from __future__ import annotations

import json
import math
import secrets
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mpobench import progress
from mpobench.atomic import write_atomically
from mpobench.cells import Cell, Training, TrainingSpec
from mpobench.errors import DivergedError
from mpobench.loading import one_line
from mpobench.protocols import JsonObject, Trained
from mpobench.records import measured, unfinished
from mpobench.registry import get_registry
from mpobench.results import ResultStore, Status
from mpobench.workspace import Prerequisite, Sample, Workspace

RECORD = "training.json"
"""Beside a policy: the curves and seconds of its training."""


@dataclass(frozen=True)
class Finished:
    """What a worker says of one cell; the result itself is already on disk."""

    key: str
    status: Status
    reason: str = ""
    trace: str = ""


@dataclass(frozen=True)
class Together:
    """What came of tasks that were to be carried out at once; those that are missing are carried out alone.

    Attributes:
        made: keys of the trainings whose policy is there now.
        problem: what went wrong, for the user; empty if nothing did.
    """

    made: frozenset[str] = frozenset()
    problem: str = ""


def at_once(spec: TrainingSpec) -> int:
    """How many trainings like this one the worker's device carries out at once."""
    try:
        return max(1, spec.build(get_registry()).env.component.at_once())
    except Exception:  # noqa: BLE001  # whatever it is, the training itself meets it again, and says so
        return 1


def make_prerequisite(spec: TrainingSpec, prerequisite: Prerequisite, cache: Path) -> Finished | None:
    """Makes a shared file, unless it was made together with others. Returns None, or how it failed."""
    if (cache / prerequisite.path).exists():
        return None
    training = spec.build(get_registry())
    try:
        workspace = Workspace(cache, progress.reporter(prerequisite.key))
        training.env.component.prepare(prerequisite.payload, training.request, workspace)
    except Exception as error:  # noqa: BLE001  # whatever a component raises belongs to its cells alone
        return failed(prerequisite.key, error)
    return None


def make_together(
    specs: Sequence[TrainingSpec], prerequisites: Sequence[Prerequisite], cache: Path
) -> Together:
    """Makes alike shared files at once."""
    try:
        trainings = [spec.build(get_registry()) for spec in specs]
        trainings[0].env.component.prepare_together(
            [each.payload for each in prerequisites],
            [each.request for each in trainings],
            Workspace(cache, _report_all(each.key for each in prerequisites)),
        )
    except Exception as error:  # noqa: BLE001  # whatever it is, it is met again where each is made alone
        return Together(problem=_not_at_once(specs, error))
    return Together()


def train_together(specs: Sequence[TrainingSpec], results: Path, cache: Path) -> Together:
    """Trains the policies of alike trainings at once and keeps them where their results will be."""
    store, made = ResultStore(results), set[str]()
    try:
        trainings = [spec.build(get_registry()) for spec in specs]
        workspace = Workspace(cache, _report_all(each.key for each in trainings))
        policies = trainings[0].env.component.train_together([each.request for each in trainings], workspace)
        for training, trained in zip(trainings, policies, strict=True):
            if trained is not None:
                _keep(training, trained, store)
                made.add(training.key)
    except Exception as error:  # noqa: BLE001  # as above
        return Together(frozenset(made), _not_at_once(specs, error))
    return Together(frozenset(made))


def _not_at_once(specs: Sequence[TrainingSpec], error: Exception) -> str:
    return f"{len(specs)} tasks could not be carried out at once: {one_line(error)}"


def _report_all(keys: Iterable[str]) -> Callable[[str, float], None]:
    """Reports the same of several tasks."""
    reporters = [progress.reporter(key) for key in keys]

    def report(phase: str, fraction: float) -> None:
        for each in reporters:
            each(phase, fraction)

    return report


def run_training(
    spec: TrainingSpec, evaluators: tuple[str, ...], results: Path, cache: Path, retrain: bool
) -> list[Finished]:
    """Trains a policy, or takes the one that is there, and writes a result per evaluator."""
    training, store = spec.build(get_registry()), ResultStore(results)
    cells = [cell for cell in training.cells if cell.evaluator in evaluators]
    workspace = Workspace(cache, progress.reporter(training.key))
    try:
        trained = _trained(training, store, workspace, retrain)
    except Exception as error:  # noqa: BLE001  # as above
        failure = failed(training.key, error)
        for cell in cells:
            store.save(unfinished(training, cell, failure.status, failure.reason))
        return [failure] * len(cells)
    workspace.report("training", 1.0)
    workspace.report("evaluation", 0.0)
    return [_evaluate(training, cell, trained, store, workspace) for cell in cells]


def _trained(training: Training, store: ResultStore, workspace: Workspace, retrain: bool) -> Trained:
    env, folder = training.env.component, policy_folder(store, training.key)
    record = folder / RECORD
    if record.exists() and not retrain:
        return Trained(env.load_policy(folder), **read_record(record))
    trained = env.train(training.request, workspace)
    _keep(training, trained, store)
    return trained


def _keep(training: Training, trained: Trained, store: ResultStore) -> None:
    """Keeps a policy with the record of its training: both, or neither."""
    folder = policy_folder(store, training.key)
    temporary = folder.with_name(f".partial-{secrets.token_hex(4)}")
    temporary.mkdir(parents=True)
    try:
        training.env.component.save_policy(trained.policy, temporary)
        write_record(temporary / RECORD, trained)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _evaluate(
    training: Training, cell: Cell, trained: Trained, store: ResultStore, workspace: Workspace
) -> Finished:
    evaluator = next(each for each in training.evaluators if each.text == cell.evaluator)
    began = time.perf_counter()
    samples: list[Sample] = []
    try:
        metrics = evaluator.component.evaluate(
            training.env.component,
            trained.policy,
            cell.seed,
            cell.scale,
            replace(workspace, show=samples.append),
        )
        wild = [name for name, value in metrics.items() if not math.isfinite(value)]
        if wild:
            raise DivergedError(f"the policy's {wild[0]} is not finite")
        seconds = trained.seconds | {"evaluate": time.perf_counter() - began}
        result = measured(training, cell, evaluator, metrics, trained.curves, seconds, samples)
        finished = Finished(cell.key, "ok")
    except Exception as error:  # noqa: BLE001  # as above
        finished = failed(cell.key, error)
        result = unfinished(training, cell, finished.status, finished.reason, trained.curves)
    store.save(result)
    return finished


def failed(key: str, error: Exception) -> Finished:
    """An exception in words."""
    if isinstance(error, DivergedError):
        return Finished(key, "diverged", " ".join(str(error).split()) or "training diverged")
    return Finished(key, "error", one_line(error), traceback.format_exc())


def policy_folder(store: ResultStore, training_key: str) -> Path:
    """Where a run keeps a trained policy."""
    return store.folder / "policies" / training_key


def write_record(file: Path, trained: Trained) -> None:
    """Keeps a training's curves and seconds beside its policy, for evaluators that come later."""
    write_atomically(file, json.dumps({"curves": trained.curves, "seconds": trained.seconds}))


def read_record(file: Path) -> JsonObject:
    """Reads what :func:`write_record` wrote."""
    record: JsonObject = json.loads(file.read_bytes())
    return record
