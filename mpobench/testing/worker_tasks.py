"""Functions that the check of launchers sends to workers."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass

from mpobench.protocols import Report
from mpobench.running import reports


@dataclass(frozen=True)
class WorkerProcess:
    """A process that carries out tasks.

    Attributes:
        host: Name of its machine.
        id: Process id there.
    """

    host: str
    id: int

    @classmethod
    def here(cls) -> WorkerProcess:
        """This process."""
        return cls(socket.gethostname(), os.getpid())


def worker_process(seconds: float = 0.0) -> WorkerProcess:
    """The process of a worker, after some seconds of work."""
    time.sleep(seconds)
    return WorkerProcess.here()


def square(number: int, seconds: float = 0.0) -> int:
    """A result, after some seconds of work."""
    time.sleep(seconds)
    return number * number


def fail(message: str) -> None:
    """An exception."""
    raise ValueError(message)


def report(sent: Report) -> None:
    """A report."""
    reports.send(sent)


def end_process() -> None:
    """The end of the worker's process, without a word."""
    os._exit(3)


def long_work(task: str, seconds: float) -> None:
    """Reports that the worker begins a task, then works for long."""
    reports.begun(task)
    time.sleep(seconds)
