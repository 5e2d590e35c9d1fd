"""Launchers: places where the tasks of a run are carried out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from mpobench.protocols.component import Component
from mpobench.protocols.report import Listener


class WorkerLostError(Exception):
    """A worker process ended in the middle of a task: killed, out of memory, or by its own ``_exit``.

    The exception of a future. The scheduler submits the task again, and gives it up after several losses. Its argument
    is what is known of the end, for one line: ``exit code -9 (out of memory?)``.
    """


@dataclass(frozen=True)
class Workers:
    """Workers of an open launcher.

    Attributes:
        executor: Executor of the tasks. A task whose worker is lost ends with :class:`WorkerLostError`; other tasks are
            not affected.
        count: Function that returns how many tasks run at the same time; it may change while the run goes on.
        check_folders: Function of the folders that tasks write into, called before the first task. It raises
            RequestError if a worker does not share them with this process (see :mod:`mpobench.files.shared_folder`).
            Workers on this machine share them anyway.
    """

    executor: Executor
    count: Callable[[], int]
    check_folders: Callable[[Sequence[Path]], None] = field(default=lambda folders: None)


class Launcher(Component, ABC):
    """A place where tasks run."""

    @abstractmethod
    def open(self, workers: int | None, report: Listener) -> AbstractContextManager[Workers]:
        """Workers that are closed with the context. When it closes by an exception, running tasks are stopped.

        Args:
            workers: Number of tasks that run at once; None for all that the place offers.
            report: Function that this process calls for each report of a worker (see
                :mod:`mpobench.running.reports`).

        Raises:
            RequestError: If the place cannot be had: a package is missing, an address does not answer.
        """
