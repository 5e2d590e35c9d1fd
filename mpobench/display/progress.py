"""Progress with an ETA per phase: bars on a terminal and in a notebook, plain lines in a file."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from types import TracebackType

from mpobench.display.notebook import NotebookBars, in_notebook

SECONDS_BETWEEN_LINES = 10.0


class Phase:
    """Work of one kind, spread over tasks.

    Args:
        costs: Cost of each task that takes part, relative to the others.

    Attributes:
        total: Cost of all tasks.
        done: Cost that is done.
    """

    def __init__(self, costs: dict[str, float]) -> None:
        self._costs = costs
        self._fractions: dict[str, float] = {}
        self._began: float | None = None
        self.total = sum(costs.values())
        self.done = 0.0

    def update(self, task: str, fraction: float) -> None:
        """Notes the fraction of a task that is done; it never goes back."""
        if task in self._costs:
            if not self._fractions and fraction == 0:
                self._began = time.monotonic()
            before = self._fractions.get(task, 0.0)
            self._fractions[task] = max(fraction, before)
            self.done += self._costs[task] * max(fraction - before, 0.0)

    @property
    def complete(self) -> bool:
        """Whether all is done, up to rounding."""
        return self.done >= self.total * (1 - 1e-9)

    @property
    def fraction(self) -> float:
        """Share that is done, in [0, 1]."""
        return min(self.done / self.total, 1.0) if self.total else 1.0

    @property
    def eta(self) -> float | None:
        """Seconds left, by the mean speed so far; None before there is any, or if nobody said when it began."""
        if self._began is None or self.fraction == 0:
            return None
        return (time.monotonic() - self._began) * (1 - self.fraction) / self.fraction


def duration(seconds: float) -> str:
    """A duration for people: ``42 s``, ``3:05``, ``1:02:03``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, seconds_left = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds_left:02}" if hours else f"{minutes}:{seconds_left:02}"


class Display:
    """Shows the phases on stderr, or in a notebook's output, while the context is open.

    Args:
        phases: Tasks and their costs, by phase, in the order of work.

    Attributes:
        phases: State of each phase that has tasks.
    """

    def __init__(self, phases: dict[str, dict[str, float]]) -> None:
        self.phases = {name: Phase(costs) for name, costs in phases.items() if costs}
        self._began = time.monotonic()
        self._last_line = self._began
        self._started: set[str] = set()
        self._finished: set[str] = set()
        self._lock = threading.Lock()  # reports come in on a launcher's thread
        self._notebook: NotebookBars | None = None
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Display:
        """Starts the bars, where there is a notebook or a terminal."""
        if in_notebook():
            self._notebook, self._live = NotebookBars(), False
        if self._live:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bars = Progress(
                TextColumn("{task.description:12}"),
                BarColumn(),
                TextColumn("{task.percentage:3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("ETA"),
                TimeRemainingColumn(compact=True),
                console=Console(stderr=True),
            )
            self._ids = {
                name: self._bars.add_task(name, total=phase.total, start=False)
                for name, phase in self.phases.items()
            }
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the bars."""
        if self._live:
            self._bars.stop()
        if self._notebook is not None:
            self._notebook.show(self._rows(), at_once=True)

    def update(self, task: str, phase: str, fraction: float) -> None:
        """Notes a report and shows it."""
        if phase not in self.phases:
            return
        with self._lock:
            self.phases[phase].update(task, fraction)
            if self._live:
                self._update_bar(phase)
            elif self._notebook is not None:
                self._notebook.show(self._rows(), at_once=False)
            else:
                self._print_lines(phase)

    def finish(self, task: str, phases: Iterable[str]) -> None:
        """A task is over, whatever it reported."""
        for phase in phases:
            self.update(task, phase, 1.0)

    def note(self, line: str) -> None:
        """Prints a line on stderr, above the bars."""
        with self._lock:
            if self._live:
                self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                print(line, file=sys.stderr, flush=True)

    def _update_bar(self, name: str) -> None:
        phase, bar = self.phases[name], self._ids[name]
        self._bars.start_task(bar)
        self._bars.update(bar, completed=phase.done)
        if phase.complete:
            self._bars.stop_task(bar)

    def _rows(self) -> list[tuple[str, float, str]]:
        """The phases for a notebook: name, share that is done, time left."""
        return [
            (name, phase.fraction, "" if not phase.eta else f"{duration(phase.eta)} left")
            for name, phase in self.phases.items()
        ]

    def _print_lines(self, name: str) -> None:
        now, phase = time.monotonic(), self.phases[name]
        complete = phase.complete and name not in self._finished
        starts = name not in self._started
        if not complete and not starts and now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._started.add(name)
        if complete:
            self._finished.add(name)
        self._last_line = now
        eta = "" if phase.eta is None or complete else f", ETA {duration(phase.eta)}"
        elapsed = duration(now - self._began)
        print(f"[{elapsed:>6}] {name} {100 * phase.fraction:3.0f} %{eta}", file=sys.stderr, flush=True)
