"""Functions that the check of launchers sends to workers."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass

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


def report(task: str, phase: str, fraction: float) -> None:
    """A progress report."""
    reports.send(task, phase, fraction)


def end_process() -> None:
    """The end of the worker's process, without a word."""
    os._exit(3)


def long_work(task: str, seconds: float) -> None:
    """Reports the worker's process as a phase, then works for long."""
    here = WorkerProcess.here()
    reports.send(task, f"{here.id}@{here.host}", 0.5)
    time.sleep(seconds)
