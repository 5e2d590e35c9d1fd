"""Each promise of a launcher, broken: the check finds it, and says so in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, ClassVar

import pytest

from mpobench import Launcher, Workers
from mpobench.protocols import Progress
from mpobench.running import reports
from mpobench.running.process_pool import ProcessPool
from mpobench.testing import check_launcher


class Threads(Launcher):
    """Two threads of this process."""

    @contextmanager
    def open(self, workers, report):
        reports.connect(report)
        with ThreadPoolExecutor(2) as executor:
            yield Workers(executor, lambda: 2)


class Pool(Launcher):
    """Worker processes, as the local launcher has them."""

    def pool(self, report) -> Any:
        return ProcessPool(2, report)

    @contextmanager
    def open(self, workers, report):
        pool = self.pool(report)
        try:
            yield Workers(pool, lambda: 2)
            pool.shutdown()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class NoWorkers(Threads):
    @contextmanager
    def open(self, workers, report):
        yield ThreadPoolExecutor(2)


class NoCount(Threads):
    @contextmanager
    def open(self, workers, report):
        with super().open(workers, report) as opened:
            yield Workers(opened.executor, lambda: 0)


class Mute(Threads):
    @contextmanager
    def open(self, workers, report):
        with super().open(workers, lambda *said: None) as opened:
            yield opened


class Swallowing(Executor):
    """Its futures have no exceptions."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args))
        except ValueError as error:
            future.set_result(error)
        return future


class Swallows(Threads):
    @contextmanager
    def open(self, workers, report):
        yield Workers(Swallowing(), lambda: 1)


class Idle(Threads):
    @contextmanager
    def open(self, workers, report):
        class Never(Executor):
            def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
                return Future()

        yield Workers(Never(), lambda: 1)


class StandardPool(Pool):
    """The standard library's pool gives up all tasks when one worker dies."""

    def pool(self, report):
        return ProcessPoolExecutor(2, get_context("spawn"), initializer=_connect_to_nobody)

    @contextmanager
    def open(self, workers, report):
        with super().open(workers, report) as opened:
            report(Progress("task", "phase", 0.25))  # it has no way for reports
            yield opened


def _connect_to_nobody() -> None:
    reports.connect(lambda *said: None)


class LeavesAProcess(Pool):
    """A process that outlives its context, until the test ends it."""

    left: ClassVar[list[ProcessPool]] = []

    @contextmanager
    def open(self, workers, report):
        self.left.append(ProcessPool(2, report))
        yield Workers(self.left[-1], lambda: 2)


BROKEN = [
    (NoWorkers(), "opens a ThreadPoolExecutor: yield mpobench.Workers"),
    (NoCount(), r"count\(\) is 0"),
    (Mute(), "does not pass on reports: call mpobench.running.reports.connect"),
    (Swallows(), r"came back as ValueError\('told to'\): set it as the exception of the task's future"),
    (Idle(), "has no result of a short task"),
    (StandardPool(), "a task whose process ended came back as BrokenProcessPool.*: let its future raise"),
    (LeavesAProcess(), "leaves worker processes .* when its context closes: end them"),
]


@pytest.mark.parametrize(("launcher", "sentence"), BROKEN, ids=lambda value: type(value).__name__)
def test_a_broken_promise_is_one_sentence(launcher: Launcher, sentence: str) -> None:
    seconds = 60 if isinstance(launcher, StandardPool) else 1 if isinstance(launcher, Mute | Idle) else 20
    with pytest.raises(AssertionError, match=sentence) as caught:
        check_launcher(launcher, seconds=seconds)
    while LeavesAProcess.left:
        LeavesAProcess.left.pop().shutdown(cancel_futures=True)
    assert "\n" not in str(caught.value)


def test_a_sound_one_passes() -> None:
    check_launcher(Threads())


def test_the_checks_need_neither_pytest_nor_jax_nor_torch() -> None:
    source = "import sys, mpobench.testing; print(*({'pytest', 'jax', 'torch'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.split() == []
