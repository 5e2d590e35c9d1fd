"""Reports of workers: what the process that started a run hears of its tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Begun:
    """A worker begins a task.

    Attributes:
        task: Key of the task.
        host: Name of the worker's machine.
        process: Process id there.
    """

    task: str
    host: str
    process: int


@dataclass(frozen=True)
class Progress:
    """How far a task is.

    Attributes:
        task: Key of the task.
        phase: Name in the progress display.
        fraction: Share of the task's part of the phase that is done, in [0, 1].
    """

    task: str
    phase: str
    fraction: float


@dataclass(frozen=True)
class Note:
    """A line for the user."""

    line: str


Report: TypeAlias = Begun | Progress | Note
"""A report: a task begins, goes on, or has something to say."""

Listener: TypeAlias = Callable[[Report], None]
"""A function that is told each report."""
