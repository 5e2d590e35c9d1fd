"""Carrying out a plan: prerequisites, trainings and evaluations on a launcher's workers, one file per finished cell."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpobench import progress, tasks
from mpobench.cells import Cell, Training
from mpobench.errors import MpobenchError
from mpobench.protocols import Launcher
from mpobench.records import refused, unfinished
from mpobench.results import CellResult, ResultFileError, ResultStore
from mpobench.suite import Plan, Rerun
from mpobench.tasks import Finished, Together
from mpobench.workspace import Prerequisite


def cache_folder() -> Path:
    """Where runs share rollouts, SFT stages and compiled programs: ``$MPOBENCH_CACHE``, or the user's cache."""
    if chosen := os.environ.get("MPOBENCH_CACHE"):
        return Path(chosen).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "mpobench"


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        planned: number of cells asked for.
        reused: cells whose results were there before.
        ran: status counts of the cells of this run.
        replaced: a line for each results file that was truncated or not ours, and counted as missing.
        alone: a line for each group of tasks that could have been carried out at once, but were not.
        failures: a line for each cell that failed or diverged, in this run or in an earlier one.
        traces: their tracebacks, for ``--debug``.
    """

    planned: int
    reused: int = 0
    ran: Counter[str] = field(default_factory=Counter)
    replaced: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)


def execute(
    plan: Plan, store: ResultStore, launcher: Launcher, workers: int | None, rerun: Rerun, cache: Path
) -> Outcome:
    """Runs every cell of a plan whose result is missing.

    Args:
        plan: what to run.
        store: where results are kept.
        launcher: where to run.
        workers: how many tasks at once; None for all that the launcher offers.
        rerun: which cells to run although they have a result: none, those that failed or diverged, or all.
        cache: the folder that runs share.

    Raises:
        MpobenchError: if a worker process died; finished cells are kept.
        KeyboardInterrupt: on Ctrl-C; likewise.
    """
    store.check_writable()
    outcome = Outcome(planned=len(plan.cells))
    known = {cell.key: _known(store, cell.key, outcome) for cell in plan.cells}
    pending = {cell.key for cell in plan.cells if _wanted(known[cell.key], rerun)}
    for cell in plan.cells:
        result = known[cell.key]
        if cell.key in pending and cell.skip is not None:
            store.save(refused(cell, plan))
            outcome.ran["skipped"] += 1
        elif result is not None and cell.key not in pending:
            outcome.reused += 1
            if result.status in ("diverged", "error"):
                outcome.failures.append(f"{describe(cell)} {result.status} earlier: {result.reason}")
    jobs = [
        (training, tuple(cell for cell in training.cells if cell.key in pending))
        for training in plan.trainings
    ]
    jobs = [(training, cells) for training, cells in jobs if cells]
    if jobs:
        _Schedule(jobs, store, cache, rerun == "all", outcome).run(launcher, workers)
    return outcome


def _known(store: ResultStore, key: str, outcome: Outcome) -> CellResult | None:
    try:
        return store.load(key)
    except ResultFileError as error:
        kept = store.set_aside(key)
        outcome.replaced.append(f"{error.problem}: kept as {kept.name}, its cell runs again")
        return None


def _wanted(result: CellResult | None, rerun: Rerun) -> bool:
    return (
        result is None
        or rerun == "all"
        or (rerun == "errors" and result.status in ("diverged", "error"))
        or result.status == "skipped"
    )


def describe(cell: Cell) -> str:
    """A cell in words."""
    return f"{cell.objective} on {cell.env} {cell.corruption}, seed {cell.seed}:"


class _Schedule:
    """Submits each task as soon as what it needs is made, and collects what comes back."""

    def __init__(
        self,
        jobs: list[tuple[Training, tuple[Cell, ...]]],
        store: ResultStore,
        cache: Path,
        retrain: bool,
        outcome: Outcome,
    ) -> None:
        self._store, self._cache, self._retrain, self._outcome = store, cache, retrain, outcome
        self._jobs = {training.key: (training, cells) for training, cells in jobs}
        self._prerequisites: dict[str, tuple[Prerequisite, Training]] = {}
        self._alike: dict[str, str] = {}
        self._groups: dict[str, list[str]] = {}
        self._trained: set[str] = set()
        self._waits: dict[str, set[str]] = {}
        for training, _ in jobs:
            try:
                own = {each.key: each for each in self._missing(training)}
                alike = "" if self._has_policy(training) else training.env.component.alike(training.request)
            except Exception as error:  # noqa: BLE001  # a corruption may be asked here, and may be a stranger's
                self._fail(training.key, tasks.failed(training.key, error))
                continue
            self._prerequisites |= {key: (each, training) for key, each in own.items()}
            self._alike |= {training.key: alike, **{key: each.alike for key, each in own.items()}}
            self._waits |= {key: set(each.needs) & own.keys() for key, each in own.items()}
            self._waits[training.key] = set(own)

    def _missing(self, training: Training) -> list[Prerequisite]:
        if self._has_policy(training):
            return []
        needed = training.env.component.prerequisites(training.request)
        return [each for each in needed if not (self._cache / each.path).exists()]

    def _has_policy(self, training: Training) -> bool:
        return tasks.policy_folder(self._store, training.key).exists() and not self._retrain

    def _phases(self) -> dict[str, dict[str, float]]:
        phases: dict[str, dict[str, float]] = {}
        for key, (prerequisite, _) in self._prerequisites.items():
            phases.setdefault(prerequisite.phase, {})[key] = prerequisite.cost
        cells = {key: float(len(cells)) for key, (_, cells) in self._jobs.items()}
        return phases | {"training": dict.fromkeys(cells, 1.0), "evaluation": cells}

    def run(self, launcher: Launcher, workers: int | None) -> None:
        """Runs all tasks; returns when the last one is over."""
        with (
            progress.Display(self._phases()) as display,
            launcher.open(workers, display.update) as executor,
        ):
            try:
                self._loop(executor, display)
            except BrokenProcessPool as error:
                raise MpobenchError(
                    "a worker process died (out of memory?): finished cells are kept; "
                    "give the same command again, with fewer --workers if it happens again"
                ) from error

    def _loop(self, executor: Executor, display: progress.Display) -> None:
        self._form_groups(executor)
        running: dict[Future[Any], str] = {}
        while self._waits or running:
            while ready := [task for task, needs in self._waits.items() if not needs]:
                for task in sorted(ready, key=self._dataset):
                    self._begin(task, executor, display, running)
            if not running and self._waits:
                raise MpobenchError(f"prerequisites wait for each other: {', '.join(sorted(self._waits))}")
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                task = running.pop(future)
                if task in self._groups:
                    self._came_of(task, future.result())
                elif task in self._jobs:
                    display.finish(task, ("training", "evaluation"))
                    try:
                        finished = future.result()
                    except (
                        MpobenchError
                    ) as error:  # it could not be built again: its objective file has gone, say
                        self._fail(task, tasks.failed(task, error))
                    else:
                        self._note(task, finished)
                else:
                    display.finish(task, (self._prerequisites[task][0].phase,))
                    try:
                        failure = future.result()
                    except MpobenchError as error:  # as above
                        self._pass_on(task, error)
                    else:
                        self._release(task, failure)

    def _begin(
        self, task: str, executor: Executor, display: progress.Display, running: dict[Future[Any], str]
    ) -> None:
        del self._waits[task]
        members = self._members(task)
        if task in self._groups and len(members) < 2:  # the others have failed
            self._release(task, None)
            return
        for each in members:
            display.update(each, self._phase(each), 0.0)
        running[self._submit(executor, task)] = task

    def _form_groups(self, executor: Executor) -> None:
        """Puts a task before those that a device carries out at once, which does so; they find it done."""
        alike: dict[tuple[str, str, str], list[str]] = {}
        for task in self._waits:
            if value := self._alike[task]:
                kind = self._phase(task), self._training(task).env.text, value
                alike.setdefault(kind, []).append(task)
        widths: dict[str, int] = {}
        for (_, env, _), found in alike.items():
            if len(found) > 1 and env not in widths:
                widths[env] = executor.submit(tasks.at_once, self._training(found[0]).spec).result()
            width = widths.get(env, 1)
            parts = (found[first : first + width] for first in range(0, len(found), width))
            self._groups |= {f"{len(part)} with {part[0]}": part for part in parts if len(part) > 1}
        for group, members in self._groups.items():
            self._waits[group] = set().union(*(self._waits[task] for task in members))
        for group, members in self._groups.items():
            for task in members:
                self._waits[task] = self._waits[task] | {group}

    def _came_of(self, group: str, found: Together) -> None:
        """Members go on: what could not be done at once is done alone, and says itself what is wrong."""
        self._trained |= found.made
        if found.problem:
            self._outcome.alone.append(found.problem)
        self._release(group, None)

    def _members(self, task: str) -> list[str]:
        """The tasks of a group that have not failed, or the task itself."""
        return (
            [each for each in self._groups[task] if each in self._waits] if task in self._groups else [task]
        )

    def _training(self, task: str) -> Training:
        """The training that a task is, belongs to or begins with."""
        task = self._groups[task][0] if task in self._groups else task
        return self._jobs[task][0] if task in self._jobs else self._prerequisites[task][1]

    def _phase(self, task: str) -> str:
        return "training" if task in self._jobs else self._prerequisites[task][0].phase

    def _dataset(self, task: str) -> str:
        """What a task works on: tasks of one dataset follow each other, so that a worker need not load it again."""
        return self._training(task).request.dataset.key

    def _submit(self, executor: Executor, task: str) -> Future[Any]:
        if task in self._groups:
            return self._submit_group(executor, self._members(task))
        spec = self._training(task).spec
        if task in self._jobs:
            evaluators = tuple(cell.evaluator for cell in self._jobs[task][1])
            retrain = self._retrain and task not in self._trained
            return executor.submit(
                tasks.run_training, spec, evaluators, self._store.folder, self._cache, retrain
            )
        return executor.submit(tasks.make_prerequisite, spec, self._prerequisites[task][0], self._cache)

    def _submit_group(self, executor: Executor, members: list[str]) -> Future[Together]:
        specs = [self._training(task).spec for task in members]
        if all(task in self._jobs for task in members):
            return executor.submit(tasks.train_together, specs, self._store.folder, self._cache)
        files = [self._prerequisites[task][0] for task in members]
        return executor.submit(tasks.make_together, specs, files, self._cache)

    def _release(self, task: str, failure: Finished | None) -> None:
        """A prerequisite is made: whoever waited for it may go on, or fails with it."""
        for waiting, needs in list(self._waits.items()):
            if task not in needs or waiting not in self._waits:  # the latter: failed already, by another way
                continue
            if failure is None or waiting in self._groups:
                needs.discard(task)
                continue
            del self._waits[waiting]
            if waiting in self._jobs:
                self._fail(waiting, failure)
            else:
                self._release(waiting, failure)

    def _pass_on(self, task: str, error: MpobenchError) -> None:
        """A training that could not be built again fails; what it was to make, another one makes that needs it too."""
        prerequisite, training = self._prerequisites[task]
        if training.key in self._waits:
            del self._waits[training.key]
            self._fail(training.key, tasks.failed(task, error))
        for job, needs in self._waits.items():
            if job in self._jobs and task in needs:
                self._prerequisites[task] = (prerequisite, self._jobs[job][0])
                self._waits[task] = set()  # what it needs itself is made
                return
        self._release(
            task, tasks.failed(task, error)
        )  # nobody needs it: what waits for it beside jobs, neither

    def _fail(self, job: str, failure: Finished) -> None:
        """A training that cannot begin: its cells fail in its place."""
        training, cells = self._jobs[job]
        for cell in cells:
            self._store.save(unfinished(training, cell, failure.status, failure.reason))
        self._note(job, [failure] * len(cells))

    def _note(self, task: str, finished: list[Finished]) -> None:
        _, cells = self._jobs[task]
        for cell, outcome in zip(cells, finished, strict=True):
            self._outcome.ran[outcome.status] += 1
            if outcome.status != "ok":
                self._outcome.failures.append(f"{describe(cell)} {outcome.status}: {outcome.reason}")
            if outcome.trace:
                self._outcome.traces.append(outcome.trace)
