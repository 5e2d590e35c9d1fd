"""Where and how the tasks of a run are carried out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpobench.protocols import Launcher


@dataclass(frozen=True)
class Workplace:
    """Where and how tasks are carried out. No result depends on it.

    Attributes:
        launcher: Launcher of the workers.
        cache: Folder of shared files.
        workers: Number of tasks at once; None for all that the launcher offers.
        cell_timeout: Seconds that a task may take; None means no limit.
    """

    launcher: Launcher
    cache: Path
    workers: int | None = None
    cell_timeout: float | None = None
