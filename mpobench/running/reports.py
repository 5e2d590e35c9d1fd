"""Progress reports of a worker: (task, phase, fraction), sent to the process that shows them."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable

from mpobench.protocols import Report

MIN_SECONDS_BETWEEN_REPORTS = 0.2

BEGUN = "@"
"""First character of the phase of a task's first report; the name of the worker that has begun it follows."""

NOTE = "note: "
"""Beginning of the phase of a report that is a line for the user: the rest of it."""

_send: Report | None = None


def connect(send: Report) -> None:
    """Makes ``send`` the way of this process's reports; a launcher calls it in its workers."""
    global _send  # noqa: PLW0603  # one per process, set once when a worker starts
    _send = send


def begun(task: str) -> None:
    """Reports that this worker begins a task, with the worker's host and process."""
    send(task, f"{BEGUN}{socket.gethostname()}:{os.getpid()}", 0.0)


def send(task: str, phase: str, fraction: float) -> None:
    """Sends one report; it does nothing where no launcher has connected."""
    if _send is not None:
        _send(task, phase, fraction)


def noter(task: str) -> Callable[[str], None]:
    """A function that sends a line for the user."""
    return lambda line: send(task, NOTE + line, 0.0)


def reporter(tasks: Iterable[str]) -> Callable[[str, float], None]:
    """A function (phase, fraction) that reports for tasks; between 0 and 1 it sends a few reports a second."""
    tasks, last = tuple(tasks), 0.0

    def report(phase: str, fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if not 0 < fraction < 1 or now - last >= MIN_SECONDS_BETWEEN_REPORTS:
            last = now
            for task in tasks:
                send(task, phase, fraction)

    return report
