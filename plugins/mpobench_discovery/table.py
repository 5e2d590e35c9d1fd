"""The table of a search while it runs: one row per generation."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mpobench.display.progress import duration

if TYPE_CHECKING:
    from rich.table import Table as Grid

ROWS = 12
"""Number of generations in the live table, the last ones."""


class Table:
    """Shows generations on stderr while the context is open: live on a terminal, else a line each.

    Args:
        generations: Number of generations of the whole search.
        done: Number of generations that were finished before.
        population: Members of a generation.
    """

    def __init__(self, generations: int, done: int, population: int) -> None:
        self._generations, self._first, self._population = generations, done, population
        self._done, self._scored, self._resumed = done, 0, 0
        self._began = time.monotonic()
        self._rows: list[tuple[str, ...]] = []
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Table:
        """Starts the live table, where there is a terminal."""
        if self._live:
            from rich.console import Console
            from rich.live import Live

            self._display = Live(self._render(), console=Console(stderr=True), refresh_per_second=2)
            self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops it; the last rows stay."""
        if self._live:
            self._display.stop()

    def scored(self, members: int, resumed: int = 0) -> None:
        """Shows how many members of the running generation have their score, ``resumed`` of them from before."""
        self._scored = members
        self._resumed += resumed
        if self._live:
            self._display.update(self._render())

    def note(self, line: str) -> None:
        """Prints a line on stderr, above the table."""
        if self._live:
            self._display.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def finished(self, generation: int, fitness: NDArray[np.float64], seconds: float) -> None:
        """Shows a finished generation."""
        self._done, self._scored = generation, 0
        row = (str(generation), *summary(fitness), duration(seconds))
        self._rows.append(row)
        if self._live:
            self._display.update(self._render())
            return
        names = ("generation", "best", "mean", "spread", "diverged", "took")
        text = ", ".join(f"{name} {value}" for name, value in zip(names, row, strict=True))
        print(f"{text}, ETA {self._eta()}", file=sys.stderr, flush=True)

    def _eta(self) -> str:
        members = (self._done - self._first) * self._population + self._scored - self._resumed
        left = (self._generations - self._done) * self._population - self._scored
        if not members:
            return "?"
        return duration((time.monotonic() - self._began) / members * left)

    def _render(self) -> Grid:
        from rich.table import Table as Grid

        title = f"generation {min(self._done + 1, self._generations)} of {self._generations}"
        grid = Grid(
            title=f"{title}, member {self._scored} of {self._population}, ETA {self._eta()}",
            title_justify="left",
        )
        for name in ("generation", "best", "mean", "spread", "diverged", "took"):
            grid.add_column(name, justify="right")
        for row in self._rows[-ROWS:]:
            grid.add_row(*row)
        return grid


def summary(fitness: NDArray[np.float64]) -> tuple[str, str, str, str]:
    """Best, mean and standard deviation of the finite fitness, and the number of members that diverged."""
    finite = fitness[np.isfinite(fitness)]
    diverged = str(len(fitness) - len(finite))
    if not len(finite):
        return "–", "–", "–", diverged
    return number(finite.max()), number(finite.mean()), number(finite.std()), diverged


def number(value: float) -> str:
    """A return or a share for people: ``2438``, ``-51.3``, ``0.612``."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
