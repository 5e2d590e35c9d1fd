"""The program as a user has it, in a folder of its own, with the bandit plugins installed; and its processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from processes import environment, program

from mpobench.results.store import ResultStore

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds after which a wait is in vain; a busy machine needs many."""

INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""Whoever runs the tests in the background has Ctrl-C ignored, and processes inherit that."""


class Bench:
    """A folder in which the program runs, with the bandit plugins installed."""

    def __init__(self, folder: Path, site: Path) -> None:
        self.folder, self.results, self.cache = folder, folder / "results", folder / "cache"
        self._environment = environment((site,), self.cache)

    def start(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        """Starts a run in a process group of its own, as a shell does."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            program("run", "--results", str(self.results), *args, before=INTERRUPTIBLE),
            env=self._environment,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        running = self.start(*args)
        out, err = running.communicate()
        return subprocess.CompletedProcess(args, running.returncode, out, err)

    def whole(self) -> dict[Path, int]:
        """Modification times of the results; fails if one of them cannot be read."""
        store = ResultStore(self.results)
        return {store.path(r.key): store.path(r.key).stat().st_mtime_ns for r in store.load_all()}

    def trainings(self) -> Counter[str]:
        """How often each training was begun."""
        log = self.cache / "work.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return Counter(line for line in lines if line.startswith("train"))

    def stopped_at_work(self) -> int:
        """A process that is stopped while it trains: one that is killed between two tasks loses none."""

        def stopped() -> int | None:
            for file in self.cache.glob("at-work-*"):
                pid = int(file.name.removeprefix("at-work-"))
                if _stopped_while(partial(os.kill, pid), file.exists):
                    return pid
            return None

        return wait_until(stopped)

    @contextmanager
    def stopped_while(self, running: subprocess.Popen[str], condition: Callable[[], bool]) -> Iterator[None]:
        """A run that is stopped, with its workers, where something is so, which then stays so for the block."""
        group = partial(os.killpg, running.pid)
        wait_until(lambda: _stopped_while(group, condition))
        yield
        with contextlib.suppress(ProcessLookupError):  # the block has ended them all
            group(signal.SIGCONT)

    def policies(self) -> int:
        """How many trainings are over: of some, a run may have been ended before the score was written."""
        return len(list((self.results / "policies").glob("[!.]*/training.json")))

    def finished(self) -> set[str]:
        """The trainings that have a result, named as in :meth:`trainings`."""
        return {f"train {r.objective} {r.seed}" for r in ResultStore(self.results).load_all()}


def descendants(pid: int) -> set[int]:
    """Live processes below one, from /proc."""
    found: set[int] = set()
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended just now
            for child in map(int, tasks.read_text().split()):
                found |= {child} | descendants(child)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _stopped_while(send: Callable[[int], None], condition: Callable[[], bool]) -> bool:
    """Stops processes, by a function that sends them signals, if something is so and still is when they stand still."""
    if not condition():
        return False
    send(signal.SIGSTOP)
    if condition():
        return True
    send(signal.SIGCONT)
    return False


def wait_until(condition: Callable[[], T | None], pause: Callable[[float], object] = time.sleep) -> T:
    """The first value of a condition that is true.

    Args:
        condition: What is waited for.
        pause: Function of seconds that passes them.
    """
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        pause(0.02)
    return value
