"""Cells among results: by key, or by the beginning of one."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench.errors import RequestError
from mpobench.results.cell_result import CellResult


def find_cell(results: Iterable[CellResult], prefix: str, place: str) -> CellResult:
    """The cell of a key, or of the beginning of one.

    Raises:
        RequestError: If it fits no cell, or several.
    """
    fitting = sorted((each for each in results if each.key.startswith(prefix)), key=lambda each: each.key)
    if not fitting:
        raise RequestError(f"{place} has no cell whose key begins with {prefix!r}")
    if len(fitting) > 1 and fitting[0].key != prefix:
        keys = ", ".join(each.key for each in fitting[:4]) + (", …" if len(fitting) > 4 else "")
        raise RequestError(
            f"{len(fitting)} cells of {place} begin with {prefix!r} ({keys}): write more of it"
        )
    return fitting[0]
