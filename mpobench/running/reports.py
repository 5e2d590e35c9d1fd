"""The way of a worker's reports to the process that shows them."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable

from mpobench.protocols import Begun, Listener, Note, Progress, Report

MIN_SECONDS_BETWEEN_REPORTS = 0.2

_send: Listener | None = None


def connect(send: Listener) -> None:
    """Makes ``send`` the way of this process's reports; a launcher calls it in its workers."""
    global _send  # noqa: PLW0603  # one per process, set once when a worker starts
    _send = send


def send(report: Report) -> None:
    """Sends one report; it does nothing where no launcher has connected."""
    if _send is not None:
        _send(report)


def begun(task: str) -> None:
    """Reports that this worker begins a task."""
    send(Begun(task, socket.gethostname(), os.getpid()))


def note(line: str) -> None:
    """Sends a line for the user."""
    send(Note(line))


def reporter(tasks: Iterable[str]) -> Callable[[str, float], None]:
    """A function (phase, fraction) that reports for tasks; between 0 and 1 it sends a few reports a second."""
    tasks, last = tuple(tasks), 0.0

    def report(phase: str, fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if not 0 < fraction < 1 or now - last >= MIN_SECONDS_BETWEEN_REPORTS:
            last = now
            for task in tasks:
                send(Progress(task, phase, fraction))

    return report
