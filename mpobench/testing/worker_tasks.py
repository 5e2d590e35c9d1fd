"""Functions that the check of launchers sends to workers."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass

from mpobench.running import reports


@dataclass(frozen=True)
class Place:
    """A process that carries out tasks.

    Attributes:
        host: Name of its machine.
        process: Process id there.
    """

    host: str
    process: int

    @classmethod
    def here(cls) -> Place:
        """This process."""
        return cls(socket.gethostname(), os.getpid())


def place(seconds: float = 0.0) -> Place:
    """The place of a worker, after some seconds of work."""
    time.sleep(seconds)
    return Place.here()


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
    """Reports the worker's place as a phase, then works for long."""
    here = Place.here()
    reports.send(task, f"{here.process}@{here.host}", 0.5)
    time.sleep(seconds)
