"""Workers that stay for several runs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from mpobench.protocols import Launcher, Listener, Note, Report, Workers
from mpobench.running.kept_open import kept_open

EVENTS: list[str] = []
REPORTS: list[Listener] = []


class Noted(Launcher):
    """Says when it is opened and closed."""

    @contextmanager
    def open(self, workers: int | None, report: Listener) -> Iterator[Workers]:
        EVENTS.append(f"opened {workers}")
        REPORTS.append(report)
        try:
            with ThreadPoolExecutor(1) as executor:
                yield Workers(executor, lambda: 1)
        except ZeroDivisionError:
            EVENTS.append("stopped")
            raise
        finally:
            EVENTS.append("closed")


@pytest.fixture(autouse=True)
def nothing_noted() -> None:
    EVENTS.clear()
    REPORTS.clear()


def test_workers_stay_and_each_run_hears_its_own_reports() -> None:
    heard: list[tuple[int, Report]] = []
    with kept_open(Noted()) as kept:
        for run in (1, 2):
            with kept.open(3, lambda report, run=run: heard.append((run, report))) as workers:
                assert workers.executor.submit(sum, [1, 2]).result() == 3
                REPORTS[0](Note(f"run {run}"))
            assert EVENTS == ["opened 3"]
    assert EVENTS == ["opened 3", "closed"]
    assert heard == [(1, Note("run 1")), (2, Note("run 2"))]


def test_nothing_is_opened_unless_a_run_wants_workers() -> None:
    with kept_open(Noted()):
        pass
    assert EVENTS == []


def test_an_exception_stops_the_workers() -> None:
    with pytest.raises(ZeroDivisionError), kept_open(Noted()) as kept, kept.open(1, lambda *_: None):
        raise ZeroDivisionError
    assert EVENTS == ["opened 1", "stopped", "closed"]
