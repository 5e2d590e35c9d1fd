"""The cells to make again: chosen by chance, or named."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from mpobench.errors import RequestError
from mpobench.planning.recorded import key_problem
from mpobench.results.cell_result import CellResult
from mpobench.results.find import find_cell

COMPARED = ("ok", "diverged")
"""Ends of a cell that a second computation can confirm; an error may be the machine's."""


def refuse_false_keys(results: Sequence[CellResult], place: str) -> None:
    """Checks that the keys and names of all records follow from their configurations, and that no cell is there twice.

    Raises:
        RequestError: For the first record that is false.
    """
    seen: set[str] = set()
    for result in results:
        problem = "it is there twice" if result.key in seen else key_problem(result)
        if problem:
            raise RequestError(
                f"{place} is refused: the cell {result.key} ({result.objective} on {result.env} {result.corruption}, "
                f"seed {result.seed}): {problem}; publish what `mpobench run` wrote, unedited"
            )
        seen.add(result.key)


def sampled(results: Sequence[CellResult], count: int, seed: int) -> list[CellResult]:
    """Cells chosen by chance, without repetition, among those that a second computation can confirm.

    Args:
        results: Results, in any order.
        count: Number of cells; fewer if there are fewer.
        seed: Seed of the choice: the same file and seed give the same cells.
    """
    candidates = sorted((each for each in results if each.status in COMPARED), key=lambda each: each.key)
    return random.Random(seed).sample(candidates, min(count, len(candidates)))


def named(results: Sequence[CellResult], prefixes: Iterable[str], place: str) -> list[CellResult]:
    """Cells by their keys, or by beginnings of keys that fit one cell.

    Raises:
        RequestError: If a prefix fits no cell, or several, or the cell is not one to confirm.
    """
    chosen = {}
    for prefix in prefixes:
        result = find_cell(results, prefix, place)
        if result.status not in COMPARED:
            raise RequestError(
                f"the cell {result.key} of {place} ended {result.status!r} ({result.reason}): "
                "there is no result to make again"
            )
        chosen[result.key] = result
    return list(chosen.values())
