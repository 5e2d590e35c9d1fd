"""A run: the cells of a plan whose results are missing, carried out on a launcher's workers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mpobench.display.progress import Display
from mpobench.errors import MpobenchError
from mpobench.files import locks
from mpobench.files.cache import in_use
from mpobench.planning.cells import Cell, Training
from mpobench.planning.plan import Plan
from mpobench.planning.suite import Rerun
from mpobench.protocols import Begun, Env, GroupTraining, Note, Progress, Report, Tracker, Workers
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultFileError, ResultStore
from mpobench.running import worker
from mpobench.running.live_note import live_note
from mpobench.running.log import Log, open_log
from mpobench.running.outcome import Outcome
from mpobench.running.plan_tasks import PlanTasks
from mpobench.running.records import skipped, unfinished
from mpobench.running.scheduler import Scheduler
from mpobench.running.worker import Failure, GroupOutcome
from mpobench.running.workplace import Workplace


def execute(
    plan: Plan,
    store: ResultStore,
    workplace: Workplace,
    rerun: Rerun = "missing",
    trackers: Mapping[str, Tracker] | None = None,
) -> Outcome:
    """Runs every cell of a plan whose result is missing.

    Args:
        plan: Cells and trainings.
        store: Folder of the results.
        workplace: Where and how trainings run.
        rerun: Cells to run although they have a result: none, those that failed or diverged, or all.
        trackers: Trackers that show the cells, by spec. No result depends on them.

    Raises:
        RequestError: If a folder cannot be written, a tracker be used, or an environment refuses a training; nothing
            has been computed then.
        MpobenchError: If the place of the workers is lost; finished cells are kept.
        KeyboardInterrupt: On Ctrl-C; likewise.
    """
    store.check_writable()
    outcome = Outcome(planned=len(plan.cells))
    with open_log(trackers or {}, store) as log:
        pending = _pending(plan, store, rerun, outcome, log)
        if pending:
            with in_use(workplace.cache):  # from here on nobody removes what is there and therefore not made
                tasks = _due_tasks(plan, pending, PlanTasks(store, workplace.cache, rerun))
                for training in tasks.trainings.values():
                    if refused := refusal(training):
                        raise refused
                _Run(tasks, outcome, log).run(workplace)
    return outcome


def _due_tasks(plan: Plan, pending: set[str], tasks: PlanTasks) -> PlanTasks:
    """The trainings of a plan that have pending cells, with these alone."""
    for training in plan.trainings:
        if due := [at for at, cell in enumerate(training.cells) if cell.key in pending]:
            cells = tuple(training.cells[at] for at in due)
            evaluators = tuple(training.evaluators[at] for at in due)
            tasks.add(replace(training, cells=cells, evaluators=evaluators))
    return tasks


def refusal(training: Training) -> MpobenchError | None:
    """The reason for which the environment refuses a training, before anything is computed; None if it does not."""
    try:
        training.env.check_data(training.request)
    except MpobenchError as error:
        return error
    except Exception:  # noqa: BLE001  # whatever it is, the training meets it again, and says so
        return None
    return None


def _pending(plan: Plan, store: ResultStore, rerun: Rerun, outcome: Outcome, log: Log) -> set[str]:
    """Keys of the cells to run; the skipped ones are written at once."""
    pending = set()
    there = store.keys()
    for cell in plan.cells:
        result = _known(store, cell.key, outcome) if cell.key in there else None
        same_skip = result is not None and result.status == "skipped" and result.reason == cell.skip
        if same_skip or not worker.wanted(result, rerun):
            outcome.reused += 1
            if result is not None:
                outcome.known[cell.key] = result
                log(cell.key, result)
            if result is not None and result.status in ("diverged", "error"):
                outcome.failures.append(f"{cell}: {result.status} earlier: {result.reason}")
        elif cell.skip is not None:
            store.save(skipped(cell))
            outcome.ran["skipped"] += 1
        else:
            pending.add(cell.key)
    return pending


def _known(store: ResultStore, key: str, outcome: Outcome) -> CellResult | None:
    try:
        return store.load(key)
    except ResultFileError as error:
        if isinstance(error.__cause__, OSError):  # it cannot be read now, and may be whole
            raise
        kept = store.set_aside(key)
        outcome.replaced.append(f"{error.problem}: kept as {kept.name}, its cell runs again")
        return None


class _Run:
    """The tasks of a plan on open workers; their ends are noted in the outcome."""

    def __init__(self, tasks: PlanTasks, outcome: Outcome, log: Log) -> None:
        self._tasks, self._outcome, self._log, self._began = tasks, outcome, log, time.time()
        self._shown: set[str] = set()

    def run(self, workplace: Workplace) -> None:
        """Runs all tasks; returns when the last one is over."""
        with (
            Display(self._tasks.phases()) as display,
            live_note(self._tasks.store.folder, self._outcome, display) as note,
        ):
            for key, failure in self._tasks.unplanned.items():
                self._fail(self._tasks.trainings[key], failure)
                display.finish(key, self._tasks.phases_of(key))
            scheduler: Scheduler | None = None

            def listen(report: Report) -> None:
                match report:
                    case Note(line):
                        self._show(line, display)
                    case Progress(task, phase, fraction):
                        display.update(task, phase, fraction)
                        # A member runs in its group, or alone after that failed.
                        for running in (task, self._tasks.group_of(task)):
                            if running is not None:
                                note.progress(running, phase, fraction)
                    case Begun(task, host, process):
                        if scheduler is not None:
                            scheduler.begun(task)
                        note.begun(task, self._tasks.words(task), f"{host}:{process}")
                        for member in self._tasks.members(task):
                            for first in self._tasks.phases_of(member)[:1]:
                                display.update(member, first, 0.0)

            def finished(task: str, result: Any) -> None:
                self._finished(task, result)
                display.finish(task, self._tasks.phases_of(task))
                note.over(task)

            with workplace.launcher.open(workplace.workers, listen) as opened:
                opened.check_folders((self._tasks.store.folder, self._tasks.cache))
                self._tasks.forget_policies()
                note.workers = opened.count
                self._tasks.form_groups(lambda env: ask_group_size(opened, env))
                scheduler = Scheduler(opened, finished, display.note, workplace.cell_timeout)
                scheduler.run(self._tasks.tasks())

    def _show(self, line: str, display: Display) -> None:
        """Shows a line of a component, once."""
        if line not in self._shown:
            self._shown.add(line)
            display.note(line)

    def _finished(self, task: str, result: Any) -> None:
        self._tasks.ended(task)
        training = self._tasks.trainings.get(task)
        if training is not None and isinstance(result, Failure):
            self._fail(training, result)
        elif training is not None:
            for cell, end in zip(training.cells, result, strict=True):
                self._note(cell, end.failure, end.reused)
        elif isinstance(result, GroupOutcome) and result.problem:
            self._outcome.ungrouped.append(result.problem)
        elif task in self._tasks.groups and isinstance(result, Failure):
            self._outcome.ungrouped.append(f"a group could not be carried out: {result.reason}")

    def _fail(self, training: Training, failure: Failure) -> None:
        """The end of a training that could not begin, or whose worker was lost: its cells fail in its place.

        But for those that were finished before it was lost, or by another run.
        """
        store = self._tasks.store
        with locks.lock(store.lock(training.key)):
            for cell, planned in zip(training.cells, training.evaluators, strict=True):
                if self._is_finished(cell):
                    self._note(cell, None)
                    continue
                store.save(unfinished(training, cell, planned, failure.status, failure.reason))
                self._note(cell, failure)

    def _is_finished(self, cell: Cell) -> bool:
        """Whether a result of this run, or of another one at the same time, is there."""
        try:
            result = self._tasks.store.load(cell.key)
            written = self._tasks.store.path(cell.key).stat().st_mtime
        except (ResultFileError, OSError):
            return False
        return result is not None and result.status == "ok" and written >= self._began

    def _note(self, cell: Cell, failure: Failure | None, reused: bool = False) -> None:
        self._log(cell.key, None)
        if reused:
            self._outcome.reused += 1
            if failure is not None:
                self._outcome.failures.append(f"{cell}: {failure.status} earlier: {failure.reason}")
            return
        self._outcome.ran["ok" if failure is None else failure.status] += 1
        if failure is not None:
            self._outcome.failures.append(f"{cell}: {failure.status}: {failure.reason}")
            self._outcome.refused += failure.refused
            if failure.trace:
                self._outcome.traces.append(failure.trace)


def ask_group_size(workers: Workers, env: Env) -> int:
    """Preferred group size of a worker; 1 if the environment has no groups, or the worker cannot be asked."""
    if not isinstance(env, GroupTraining):
        return 1
    try:
        size: int = workers.executor.submit(worker.group_size, env).result()
    except Exception:  # noqa: BLE001  # whatever it is, the trainings meet it again, and say so
        return 1
    return size
