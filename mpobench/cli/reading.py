"""The results that a command is given: what can be read, with a warning for each that cannot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpobench.cli.messages import warn
from mpobench.errors import RequestError
from mpobench.results.store import ResultFileError, read_results

if TYPE_CHECKING:
    from mpobench.results.cell_result import CellResult


@dataclass(frozen=True)
class Read:
    """Results of folders and files.

    Attributes:
        results: Results in the order of their places.
        damaged: Number of results that could not be read. A command that leaves some out ends with exit code 1.
    """

    results: list[CellResult]
    damaged: int


def read(*places: Path) -> Read:
    """Reads results folders and published files, and warns of each result that is damaged.

    Args:
        *places: Folders that ``mpobench run`` wrote, and ``.jsonl`` files.

    Raises:
        RequestError: If a place is neither of the two, or none has a result.
    """
    damaged: list[ResultFileError] = []
    found = [result for place in places for result in read_results(place, damaged.append)]
    for error in damaged:
        warn(error)
    if not found:
        listed = ", ".join(map(str, places))
        raise RequestError(f"no results in {listed}: make some with `mpobench run`, or name others")
    return Read(found, len(damaged))
