"""Notes of runs that are going on, in the results folder: what each run has done, what runs now, and where.

A run holds a lock beside its note, so that a note whose run was killed is told from a live one.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mpobench.files import locks


class _Note(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PhaseNote(_Note):
    """A phase of a run.

    Attributes:
        name: Name in the progress display.
        fraction: Share that is done, in [0, 1].
        eta: Seconds left when the note was written; None if nobody can tell.
    """

    name: str
    fraction: float
    eta: float | None = None


class TaskNote(_Note):
    """A task that runs now.

    Attributes:
        what: Task in words: ``dpo on tla base, seed 0``.
        worker: Host and process of its worker: ``node1:4242``.
        began: Time at which the worker began it, in seconds since the epoch.
        phase: Phase that it last reported, or empty.
        fraction: Share of that phase of this task that is done.
    """

    what: str
    worker: str
    began: float
    phase: str = ""
    fraction: float = 0.0


class RunNote(_Note):
    """The state of a run when it last wrote its note.

    Attributes:
        format: Format of the note.
        host: Machine of the process that keeps the run.
        pid: That process.
        began: Time of its beginning, in seconds since the epoch, like ``written``.
        written: Time of the note.
        workers: Tasks at once; None before the launcher is open.
        cells: Cells asked for.
        reused: Cells that had a result.
        ran: Cells of this run by status.
        phases: Phases, in the order of work.
        running: Tasks that run now.
    """

    format: Literal["mpobench-run/1"] = "mpobench-run/1"
    host: str
    pid: int
    began: float
    written: float
    workers: int | None = None
    cells: int
    reused: int = 0
    ran: dict[str, int] = {}
    phases: tuple[PhaseNote, ...] = ()
    running: tuple[TaskNote, ...] = ()


@dataclass(frozen=True)
class FoundNote:
    """A note in a results folder.

    Attributes:
        note: Content.
        alive: Whether its run goes on.
    """

    note: RunNote
    alive: bool


def notes_folder(results: Path) -> Path:
    """Folder of the notes of a results folder."""
    return results / ".runs"


def forget_ended(results: Path) -> None:
    """Removes the notes of runs that were killed."""
    for file in notes_folder(results).glob("*.json"):
        if not locks.is_held(file):
            for left in (file, file.with_name(f"{file.name}.lock")):
                with contextlib.suppress(OSError):
                    left.unlink()


def read_notes(results: Path) -> list[FoundNote]:
    """The notes of a results folder, the oldest run first; what is no note is passed over."""
    found = []
    for file in notes_folder(results).glob("*.json"):
        with contextlib.suppress(OSError, ValidationError):
            note = RunNote.model_validate_json(file.read_bytes())
            found.append(FoundNote(note, locks.is_held(file)))
    return sorted(found, key=lambda each: each.note.began)
