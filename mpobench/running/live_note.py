"""The note of this run, written while it goes on (see :mod:`mpobench.results.run_notes`)."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mpobench.display.progress import Display
from mpobench.errors import RequestError
from mpobench.files import locks
from mpobench.files.atomic import write_atomically
from mpobench.results.run_notes import PhaseNote, RunNote, TaskNote, forget_ended, notes_folder
from mpobench.running.outcome import Outcome

SECONDS_BETWEEN_NOTES = 1.0


class LiveNote:
    """The tasks that run now, and a file that says so.

    Args:
        file: File of the note.
        outcome: Counts of the run.
        display: Progress of the run.
    """

    def __init__(self, file: Path, outcome: Outcome, display: Display) -> None:
        self._file, self._outcome, self._display = file, outcome, display
        self._began, self._last = time.time(), 0.0
        self._running: dict[str, TaskNote] = {}
        self._lock = threading.Lock()  # reports come in on a launcher's thread
        self.workers: Callable[[], int] | None = None

    def begun(self, task: str, what: str, worker: str) -> None:
        """Notes that a worker has begun a task."""
        with self._lock:
            self._running[task] = TaskNote(what=what, worker=worker, began=time.time())
        self.write()

    def progress(self, task: str, phase: str, fraction: float) -> None:
        """Notes a report of a task."""
        with self._lock:
            if task in self._running:
                change = {"phase": phase, "fraction": fraction}
                self._running[task] = self._running[task].model_copy(update=change)
        self.write()

    def over(self, task: str) -> None:
        """Notes the end of a task, or the loss of its worker."""
        with self._lock:
            self._running.pop(task, None)
        self.write()

    def write(self, at_once: bool = False) -> None:
        """Writes the note, unless that was done a moment ago. One that cannot be written ends no run."""
        with self._lock:
            now = time.monotonic()
            if not at_once and now - self._last < SECONDS_BETWEEN_NOTES:
                return
            self._last = now
            note = RunNote(
                host=socket.gethostname(),
                pid=os.getpid(),
                began=self._began,
                written=time.time(),
                workers=None if self.workers is None else self.workers(),
                cells=self._outcome.planned,
                reused=self._outcome.reused,
                ran=dict(self._outcome.ran),
                phases=tuple(
                    PhaseNote(name=name, fraction=phase.fraction, eta=phase.eta)
                    for name, phase in self._display.phases.items()
                ),
                running=tuple(self._running.values()),
            )
            with contextlib.suppress(RequestError, OSError):
                write_atomically(self._file, note.model_dump_json())


@contextmanager
def live_note(results: Path, outcome: Outcome, display: Display) -> Iterator[LiveNote]:
    """A note in a results folder, which is removed when the run ends.

    Args:
        results: Results folder.
        outcome: Counts of the run.
        display: Progress of the run.
    """
    forget_ended(results)
    file = notes_folder(results) / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}.json"
    note = LiveNote(file, outcome, display)
    with locks.held_while_open(file):
        note.write(at_once=True)
        yield note
