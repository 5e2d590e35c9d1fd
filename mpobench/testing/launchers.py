"""The check of launchers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any

from mpobench.protocols import Begun, Launcher, Progress, Report, WorkerLostError, Workers
from mpobench.registry.registry import Registry
from mpobench.testing import worker_tasks
from mpobench.testing.expect import expect, no_exception
from mpobench.testing.subjects import check_value, subject
from mpobench.testing.worker_tasks import WorkerProcess

WORKERS = 2
TASKS = 6
LONG = 300.0
"""Seconds of a task that only the closing of the launcher ends."""


class _StopRun(Exception):
    """What a run ends by in the check."""


def check_launcher(
    launcher: str | Launcher,
    *,
    starts_workers: bool = True,
    seconds: float = 60.0,
    registry: Registry | None = None,
) -> None:
    """Checks a launcher with two workers.

    - It is a value; its spec builds it again; its fields are described.
    - Its executor carries out tasks, and says how many at once; results, exceptions and reports come back.
    - A task that ends its process ends with ``WorkerLostError``; all others are carried out.
    - When it closes, by an exception at once, no process remains.

    The last two are promises of launchers whose tasks run in other processes than this one.

    Args:
        launcher: Registered name, spec, or an object.
        starts_workers: Whether the worker processes are the launcher's own, and so end with it.
        seconds: Time limit of each wait for a worker.
        registry: Components; None for those that are installed.

    Raises:
        AssertionError: With one sentence, for the first promise that is not kept.
    """
    checked = subject("launcher", launcher, registry)
    check_value(checked)
    processes: set[WorkerProcess] = set()
    with no_exception(f"{checked.label}", "let open() yield Workers, and close without an exception"):
        check = _Check(checked.label, checked.component, seconds)
        processes = check.tasks()
        if WorkerProcess.here() not in processes:
            if starts_workers:
                check.gone(processes, "when its context closes")
            check.stop(starts_workers)


class _Check:
    """Checks of one launcher."""

    def __init__(self, label: str, launcher: Launcher, seconds: float) -> None:
        self._label, self._launcher, self._seconds = label, launcher, seconds
        self._reports: list[Report] = []

    def _open(self) -> Any:
        return self._launcher.open(WORKERS, self._reports.append)

    def tasks(self) -> set[WorkerProcess]:
        """Results, exceptions, reports and losses; returns the processes of the workers."""
        with self._open() as workers:
            yielded = type(workers).__name__
            expect(isinstance(workers, Workers), f"{self._label} opens a {yielded}: yield mpobench.Workers")
            processes = {self._result(workers, worker_tasks.worker_process, 0.1) for _ in range(TASKS)}
            count = workers.count()
            sound = isinstance(count, int) and count >= 1
            expect(
                sound, f"{self._label}: count() is {count!r}: return how many tasks run at once, at least 1"
            )
            self._exceptions(workers)
            sent = Progress("task", "phase", 0.25)
            self._result(workers, worker_tasks.report, sent)
            self._wait(
                lambda: sent in self._reports,
                f"{self._label} does not pass on reports: call mpobench.running.reports.connect in its workers",
            )
            if WorkerProcess.here() not in processes:
                processes |= self._losses(workers)
        return processes

    def _result(self, workers: Workers, function: Callable[..., Any], *args: Any) -> Any:
        future = workers.executor.submit(function, *args)
        try:
            return future.result(self._seconds)
        except FutureTimeoutError as error:
            wait = f"{self._label} has no result of a short task after {self._seconds:g} seconds"
            raise AssertionError(f"{wait}: carry out tasks while the context is open") from error

    def _exceptions(self, workers: Workers) -> None:
        try:
            came = repr(self._result(workers, worker_tasks.fail, "told to"))
        except ValueError as error:
            came = str(error)
        label = f"{self._label}: the ValueError('told to') of a task came back as {came}"
        expect(came == "told to", f"{label}: set it as the exception of the task's future")

    def _losses(self, workers: Workers) -> set[WorkerProcess]:
        """The loss of a worker touches no other task."""
        submit = workers.executor.submit
        before = [submit(worker_tasks.square, number, 0.3) for number in range(TASKS)]
        lost = submit(worker_tasks.end_process)
        after = [submit(worker_tasks.square, number, 0.1) for number in range(TASKS, 2 * TASKS)]
        try:
            came = repr(lost.result(self._seconds))
        except WorkerLostError:
            came = ""
        except Exception as error:  # noqa: BLE001  # whatever an executor makes of it
            came = repr(error)
        label = f"{self._label}: a task whose process ended came back as {came}"
        expect(not came, f"{label}: let its future raise mpobench.WorkerLostError")
        for number, future in enumerate([*before, *after]):
            with no_exception(
                f"{self._label}, on a task beside one whose process ended,", "carry it out elsewhere"
            ):
                expect(
                    future.result(self._seconds) == number * number,
                    f"{self._label} mixes up the results of tasks when a worker is lost: give each future its own",
                )
        return {self._result(workers, worker_tasks.worker_process) for _ in range(WORKERS)}

    def stop(self, starts_workers: bool) -> None:
        """A run that ends by an exception does not wait for its tasks."""
        began = time.monotonic()
        try:
            with self._open() as workers:
                for number in range(WORKERS + 1):
                    workers.executor.submit(worker_tasks.long_work, f"long {number}", LONG)
                self._wait(
                    self._long_work, f"{self._label} does not begin a task: carry out tasks when they come"
                )
                began = time.monotonic()
                raise _StopRun
        except _StopRun:
            took = time.monotonic() - began
        label = f"{self._label} took {took:.0f} seconds to close by an exception"
        expect(took < self._seconds, f"{label}: stop running tasks, and wait for none")
        if starts_workers:
            self.gone(self._long_work(), "when its context closes by an exception")

    def _long_work(self) -> set[WorkerProcess]:
        return {
            WorkerProcess(each.host, each.process)
            for each in list(self._reports)
            if isinstance(each, Begun) and each.task.startswith("long ")
        }

    def gone(self, processes: Iterable[WorkerProcess], when: str) -> None:
        """No worker on this machine is left."""
        here = [each.id for each in processes if each.host == WorkerProcess.here().host]
        self._wait(
            lambda: not any(map(_is_alive, here)),
            f"{self._label} leaves worker processes ({', '.join(map(str, here))}) {when}: end them",
        )

    def _wait(self, condition: Callable[[], object], sentence: str) -> None:
        deadline = time.monotonic() + self._seconds
        while not condition():
            expect(time.monotonic() < deadline, sentence)
            time.sleep(0.05)


def _is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:  # no Linux, or it has ended just now
        return not Path("/proc/self").exists()
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
