"""Learning curves of a cell of a table: means over the seeds, of whatever the records hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from mpobench.leaderboard.statistics import Estimate, mean_and_standard_error
from mpobench.results.cell_result import CellResult

STAGE = "stage"
"""The curve that names the stage of each epoch."""


def quantities(results: Iterable[CellResult]) -> list[str]:
    """Names of the curves of numbers, in the order of their first appearance."""
    found = {
        name: None
        for result in results
        for name, values in result.curves.items()
        if name != STAGE and not any(isinstance(value, str) for value in values)
    }
    return list(found)


def mean_curve(results: Sequence[CellResult], quantity: str) -> list[Estimate | None]:
    """Mean and standard error of each epoch, over the seeds that have a finite number there; None where none has."""
    epochs = zip_longest(*(result.curves.get(quantity, []) for result in results))
    finite = (
        [float(value) for value in epoch if isinstance(value, int | float) and math.isfinite(value)]
        for epoch in epochs
    )
    return [mean_and_standard_error(values) if values else None for values in finite]
