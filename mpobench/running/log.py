"""The cells of a run, shown by trackers as they arrive: in a thread, so that a slow tracker holds nothing up."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeAlias

from mpobench.errors import MpobenchError, one_line
from mpobench.protocols import Track, TrackedCell, Tracker
from mpobench.results.cell_result import SECRET_NAME, CellResult
from mpobench.results.store import ResultStore
from mpobench.running.tracked import tracked_cell

Log: TypeAlias = Callable[[str, CellResult | None], None]
"""A function of the key of a cell that has a record, and the record itself where it has been read already."""

_SILENCE = 2.0
"""Seconds that the end of a run may wait for trackers before it says so."""


@contextmanager
def open_log(trackers: Mapping[str, Tracker], store: ResultStore) -> Iterator[Log]:
    """Trackers of a run. When it ends, they show what has arrived; when it is interrupted, no further cell.

    Args:
        trackers: Trackers by spec.
        store: Folder of the results.

    Raises:
        RequestError: If one of them cannot be used at all.
    """
    if not trackers:
        yield lambda key, known: None
        return
    with ExitStack() as stack:
        outlets = [
            stack.enter_context(_Outlet(name, tracker.open(store.folder)))
            for name, tracker in trackers.items()
        ]

        def show(key: str, known: CellResult | None) -> None:
            if not any(outlet.open for outlet in outlets):
                return
            try:
                result = known or store.load(key)
                if result is None or result.status == "skipped":
                    return
                cell = tracked_cell(result, store.folder)
            except (MpobenchError, OSError):  # a damaged file, of which the run itself warns
                return
            for outlet in outlets:
                outlet.show(cell)

        waiting: set[Future[None]] = set()
        with ThreadPoolExecutor(1, "mpobench-log") as thread:

            def log(key: str, known: CellResult | None) -> None:
                future = thread.submit(show, key, known)
                waiting.add(future)
                future.add_done_callback(waiting.discard)

            try:
                yield log
                if left := len(wait(waiting.copy(), _SILENCE).not_done):
                    print(f"mpobench: --log still has {left} cells to show", file=sys.stderr, flush=True)
                thread.shutdown()
            except BaseException:
                thread.shutdown(wait=False, cancel_futures=True)
                raise


class _Outlet:
    """A tracker that may fail: it is then closed, with one line of warning, and the run goes on.

    Args:
        name: Spec of the tracker.
        context: What it has opened.

    Attributes:
        open: Whether it still shows cells.
    """

    def __init__(self, name: str, context: AbstractContextManager[Track]) -> None:
        self._name, self._context, self.open = name, context, False

    def __enter__(self) -> _Outlet:
        """Opens the tracker."""
        try:
            self._track = self._context.__enter__()
            self.open = True
        except MpobenchError:
            raise
        except Exception as error:  # noqa: BLE001  # a library of the tracker's
            self._warn(error)
        return self

    def __exit__(self, *problem: object) -> None:
        """Closes it, unless it has failed."""
        if self.open:
            self._close()

    def show(self, cell: TrackedCell) -> None:
        """Shows a cell, unless the tracker has failed before."""
        if not self.open:
            return
        try:
            self._track(cell)
        except Exception as error:  # noqa: BLE001  # likewise
            self._warn(error)
            self._close()

    def _close(self) -> None:
        warned, self.open = not self.open, False
        try:
            self._context.__exit__(None, None, None)
        except Exception as error:  # noqa: BLE001  # likewise
            if not warned:
                self._warn(error)

    def _warn(self, error: Exception) -> None:
        self.open = False
        line = (
            f"mpobench: warning: --log {self._name} has stopped: {without_secrets(one_line(error))}; the run goes on, "
            "and the same command logs what is missing"
        )
        print(line, file=sys.stderr, flush=True)


def without_secrets(text: str) -> str:
    """A text in which no value of an environment variable stands whose name says secret."""
    for name, value in os.environ.items():
        if value and SECRET_NAME.search(name):
            text = text.replace(value, "redacted")
    return text
