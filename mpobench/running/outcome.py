"""The outcome of a run: counts, failures, and lines for the user."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mpobench.results.cell_result import CellResult


@dataclass
class Outcome:
    """Outcome of a run.

    Attributes:
        planned: Number of cells asked for.
        known: Results that were there before and count, by key.
        reused: Cells whose results were there before, or were made by another run in the meantime.
        ran: Counts of cells of this run, by status.
        refused: How many of them were refused: what they ask for cannot be carried out.
        replaced: A line for each results file that was truncated or not ours, and counted as missing.
        ungrouped: A line for each group of tasks that could have been carried out in one program, but were not.
        failures: A line for each cell that failed or diverged, in this run or in an earlier one.
        traces: Their tracebacks, for ``--debug``.
    """

    planned: int
    known: dict[str, CellResult] = field(default_factory=dict)
    reused: int = 0
    ran: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    replaced: list[str] = field(default_factory=list)
    ungrouped: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)

    @property
    def counts(self) -> str:
        """The cells of this run by status: ``1 diverged, 4 ok``."""
        return ", ".join(f"{count} {status}" for status, count in sorted(self.ran.items())) or "none"
