"""A launcher: an executor of tasks, and a way for their reports."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from mpobench import Launcher, Workers
from mpobench.protocols import Listener
from mpobench.running import reports


class InThisProcess(Executor):
    """An executor that carries out each task when it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # it belongs to the task
            future.set_exception(error)
        return future


class Here(Launcher):
    """One task after the other in this process, where a debugger can stop it."""

    @contextmanager
    def open(self, workers: int | None, report: Listener) -> Iterator[Workers]:
        """One worker, however many are asked for."""
        reports.connect(report)
        yield Workers(InThisProcess(), lambda: 1)
