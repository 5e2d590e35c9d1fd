"""Trackers for tests: one that remembers, and some that fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from mpobench import RequestError, TrackedCell, Tracker, TrackerCard, hookimpl
from mpobench.protocols import Track


class Memory(Tracker):
    """Remembers the cells in the order of their arrival, all trackers of this class together."""

    cells: ClassVar[list[TrackedCell]] = []

    @contextmanager
    def open(self, results: Path) -> Iterator[Track]:
        yield self.cells.append


class Failing(Tracker):
    """Fails with a message that holds a secret."""

    at: Literal["open", "show", "close", "request"] = "show"
    secret: ClassVar[str] = "0123456789-secret"

    @contextmanager
    def open(self, results: Path) -> Iterator[Track]:
        if self.at == "request":
            raise RequestError("the tracker 'failing' needs the package nowhere: pip install nowhere")
        self._fail("open")
        yield lambda cell: self._fail("show")
        self._fail("close")

    def _fail(self, at: str) -> None:
        if at == self.at:
            raise OSError(f"no space left in\n{at}, key {self.secret}")


@hookimpl
def mpobench_trackers() -> Iterator[TrackerCard]:
    yield TrackerCard(name="memory", summary="Remembers", target="tracker_plugin:Memory")
    yield TrackerCard(name="failing", summary="Fails", target="tracker_plugin:Failing", positional="at")
