"""The functions that workers carry out: one task of a plan, whose result is written where the next task finds it."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import math
import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mpobench.errors import DiskFullError, DivergedError, RequestError, one_line
from mpobench.files import locks
from mpobench.files.atomic import folder_atomically
from mpobench.planning.cells import Cell, PlannedEvaluator, Training
from mpobench.planning.suite import Rerun
from mpobench.protocols import Env, GroupTraining, JsonObject, Prerequisite, Sample, Trained, Workspace
from mpobench.results.cell_result import CellResult, Status
from mpobench.results.policy_files import record_file
from mpobench.results.store import ResultFileError, ResultStore
from mpobench.running import reports
from mpobench.running.preparation import prepare_and_train
from mpobench.running.records import measured, unfinished


@dataclass(frozen=True)
class Failure:
    """An exception of a task, in words.

    Attributes:
        status: ``diverged`` or ``error``.
        reason: One line.
        trace: Traceback, for ``--debug``.
        refused: Whether it is a refusal: a request that cannot be carried out.
    """

    status: Status
    reason: str
    trace: str = ""
    refused: bool = False

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure of an exception that is being handled."""
        if isinstance(error, DivergedError):
            return cls("diverged", " ".join(str(error).split()) or "training diverged")
        reason = f"it called sys.exit({error.code!r})" if isinstance(error, SystemExit) else one_line(error)
        return cls("error", reason, traceback.format_exc(), isinstance(error, RequestError))


@dataclass(frozen=True)
class CellOutcome:
    """The end of one cell, whose result is on disk.

    Attributes:
        failure: Cause, unless its status is ``ok``.
        reused: Whether another run made the result in the meantime.
    """

    failure: Failure | None = None
    reused: bool = False


@dataclass(frozen=True)
class GroupOutcome:
    """The end of a group. Members that were not made are carried out alone afterwards.

    Attributes:
        problem: One line for the user; empty if nothing went wrong.
    """

    problem: str = ""


_limit: float | None = None
"""Seconds of the task that this process carries out."""


def perform(task: str, message: bytes, seconds: float | None) -> Any:
    """Carries out a task in a worker.

    Args:
        task: Key, for progress reports.
        message: Pickled (function, arguments).
        seconds: Time limit; the worker process ends when it is over.

    Returns:
        The function's result, or a :class:`Failure`: of its exception, or because the task cannot be unpickled here.

    Raises:
        DiskFullError: Of the function, since it is no fault of the task.
    """
    global _limit  # noqa: PLW0603  # a worker carries out one task at a time
    _limit = seconds
    with _one_process(), _time_limit(task):
        try:
            function, args = pickle.loads(message)
        except ImportError as error:
            failure = Failure.of(error)
            return replace(failure, reason=f"{failure.reason}: is it installed where the worker runs?")
        except Exception as error:  # noqa: BLE001  # a plugin's own unpickling
            return Failure.of(error)
        try:
            return function(*args)
        except DiskFullError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin may raise anything
            return Failure.of(error)


@contextmanager
def _time_limit(task: str) -> Iterator[None]:
    """Reports that a task begins, and ends this process when its time is over, even where compiled code hangs."""
    reports.begun(task)
    if _limit is None:
        yield
        return
    with Path(os.devnull).open("w") as nowhere:
        faulthandler.dump_traceback_later(_limit, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


@contextmanager
def _one_process() -> Iterator[None]:
    """Ends the copy of this process that comes out of a component which forked and did not end its child."""
    process = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != process:
            print("mpobench: warning: a component forked this worker: its copy was ended", file=sys.stderr)
            os._exit(0)


def group_size(env: GroupTraining) -> int:
    """Preferred group size on this worker's device."""
    try:
        return max(1, env.group_size())
    except Exception:  # noqa: BLE001  # whatever it is, the training itself meets it again, and says so
        return 1


def make_prerequisite(env: Env, prerequisite: Prerequisite, cache: Path) -> None:
    """Makes a shared file, unless it is there."""
    if not (cache / prerequisite.path).exists():
        with _one_process():
            workspace = Workspace(cache, reports.reporter([prerequisite.key]), note=reports.note)
            env.prepare(prerequisite.payload, workspace)


def make_group(env: GroupTraining, prerequisites: Sequence[Prerequisite], cache: Path) -> GroupOutcome:
    """Makes shared files in one program."""
    report = reports.reporter(each.key for each in prerequisites)
    workspace = Workspace(cache, report, note=reports.note)
    return _grouped(
        len(prerequisites), lambda: env.prepare_group([each.payload for each in prerequisites], workspace)
    )


def train_group(
    env: GroupTraining, trainings: Sequence[Training], results: Path, cache: Path
) -> GroupOutcome:
    """Trains policies in one program, and keeps them where their own tasks find them."""
    store = ResultStore(results)

    def train() -> None:
        report = reports.reporter(each.key for each in trainings)
        workspace = Workspace(cache, report, note=reports.note)
        left = [each for each in trainings if not record_file(store.policy_folder(each.key)).exists()]
        policies = env.train_group([each.request for each in left], workspace) if left else ()
        for training, trained in zip(left, policies, strict=True):
            with locks.lock(store.lock(training.key)):
                if trained is not None and not record_file(store.policy_folder(training.key)).exists():
                    _keep(training, trained, store)

    return _grouped(len(trainings), train)


def _grouped(count: int, work: Callable[[], None]) -> GroupOutcome:
    try:
        with _one_process():
            work()
    except DiskFullError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, it is met again where each is made alone
        return GroupOutcome(f"{count} tasks could not be carried out as a group: {one_line(error)}")
    return GroupOutcome()


def run_training(training: Training, results: Path, cache: Path, rerun: Rerun) -> list[CellOutcome]:
    """Trains a policy, or takes the one that is there, and writes a result for each cell.

    A second run on the same folder waits for the first, and takes its results. The time limit begins after that.

    Args:
        training: Training with the cells that are due.
        results: Folder of the results.
        cache: Folder of shared files.
        rerun: Cells to compute although they have a result: none, those that failed or diverged, or all.

    Raises:
        DiskFullError: If a file cannot be written for want of space.
    """
    store = ResultStore(results)
    faulthandler.cancel_dump_traceback_later()
    with locks.lock(store.lock(training.key)), _time_limit(training.key):
        made = {cell.key: _made_meanwhile(store, cell, rerun) for cell in training.cells}
        due = [cell for cell in training.cells if made[cell.key] is None]
        ends = dict(zip((cell.key for cell in due), _run(training, due, store, cache), strict=True))
        return [made[cell.key] or ends[cell.key] for cell in training.cells]


def wanted(result: CellResult | None, rerun: Rerun) -> bool:
    """Whether a cell with this result, or with none, is to be computed."""
    return (
        result is None
        or rerun == "all"
        or (rerun == "errors" and result.status in ("diverged", "error"))
        or result.status == "skipped"
    )


def _made_meanwhile(store: ResultStore, cell: Cell, rerun: Rerun) -> CellOutcome | None:
    """The end of a cell in another run on the same folder, if it need not be computed again."""
    try:
        result = None if rerun == "all" else store.load(cell.key)
    except ResultFileError:
        return None
    if result is None or wanted(result, rerun):
        return None
    failure = None if result.status == "ok" else Failure(result.status, result.reason)
    return CellOutcome(failure, reused=True)


def _run(training: Training, due: Sequence[Cell], store: ResultStore, cache: Path) -> list[CellOutcome]:
    planned = {cell.key: each for cell, each in zip(training.cells, training.evaluators, strict=True)}
    workspace = Workspace(cache, reports.reporter([training.key]), note=reports.note)
    try:
        trained = _trained(training, store, workspace) if due else None
    except DiskFullError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a component's failure belongs to its cells alone
        failure = Failure.of(error)
        for cell in due:
            store.save(unfinished(training, cell, planned[cell.key], failure.status, failure.reason))
        return [CellOutcome(failure)] * len(due)
    workspace.report("training", 1.0)
    if trained is None:
        return []
    workspace.report("evaluation", 0.0)
    return [_evaluate(training, cell, planned[cell.key], trained, store, workspace) for cell in due]


def _trained(training: Training, store: ResultStore, workspace: Workspace) -> Trained:
    env, folder = training.env, store.policy_folder(training.key)
    if record := _read_record(record_file(folder)):
        # A policy of which a kill or a power failure has left a part is trained again, its shared files first.
        with contextlib.suppress(Exception):
            return Trained(env.load_policy(folder), **record)
    with _one_process():
        trained = prepare_and_train(env, training.request, workspace)
    _keep(training, trained, store)
    return trained


def _keep(training: Training, trained: Trained, store: ResultStore) -> None:
    """Keeps a policy with the record of its training: both, or neither."""
    with folder_atomically(store.policy_folder(training.key)) as folder:
        training.env.save_policy(trained.policy, folder)
        record = json.dumps({name: getattr(trained, name) for name in ("curves", "seconds", "dataset")})
        record_file(folder).write_text(record, encoding="utf-8")


def _read_record(file: Path) -> JsonObject | None:
    """The record of a training, or None if there is none, or a power failure has left half of it."""
    try:
        record: JsonObject = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return record


def _evaluate(
    training: Training,
    cell: Cell,
    planned: PlannedEvaluator,
    trained: Trained,
    store: ResultStore,
    workspace: Workspace,
) -> CellOutcome:
    began = time.perf_counter()
    samples: list[Sample] = []
    try:
        with _one_process():
            metrics = planned.evaluator.evaluate(
                training.env,
                trained.policy,
                cell.seed,
                cell.scale,
                replace(workspace, show=samples.append),
            )
        wild = [name for name, value in metrics.items() if not math.isfinite(value)]
        if wild:
            raise DivergedError(f"the policy's {wild[0]} is not finite")
        seconds = trained.seconds | {"evaluate": time.perf_counter() - began}
        result = measured(training, cell, planned, metrics, replace(trained, seconds=seconds), samples)
        outcome = CellOutcome()
    except DiskFullError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  # as above
        failure = Failure.of(error)
        result = unfinished(training, cell, planned, failure.status, failure.reason, trained.curves)
        outcome = CellOutcome(failure)
    store.save(result)
    return outcome
