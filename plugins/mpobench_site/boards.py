"""The leaderboards of some folders: results, and the suite and the tunings that lie beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mpobench import RequestError
from mpobench.planning.suite import Suite
from mpobench.planning.tuned_file import TunedEntry, TunedFile
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultFileError, read_results
from mpobench.tuning.budget_file import BudgetCurve, BudgetFile

BUDGETS = ("budget.json", "*.budget.json", "*/budget.json")
"""Patterns of scores against budget beside published results."""


@dataclass(frozen=True)
class Board:
    """One leaderboard.

    Attributes:
        name: Name, unique within a site, of letters that a file's name may have.
        source: File or folder of the results.
        results: Results.
        suite: Suite that made them; None if there is none beside them.
        tunings: Entries of the tuned file that the suite names; without a suite, of the one beside the results.
        budgets: Curves of score against budget of its environments.
        damaged: Lines about files that are no results.
    """

    name: str
    source: Path
    results: list[CellResult]
    suite: Path | None
    tunings: tuple[TunedEntry, ...]
    budgets: list[BudgetCurve]
    damaged: list[str]


def find_boards(places: Iterable[Path]) -> list[Board]:
    """The leaderboards at some places, by name.

    Args:
        places: Folders of published ``.jsonl`` files, results folders, or single files.

    Raises:
        RequestError: If a place has no results, or two leaderboards have one name.
    """
    boards: dict[str, Board] = {}
    for source in [file for place in places for file in _sources(place)]:
        board = _board(source)
        other = boards.setdefault(board.name, board)
        if other is not board:
            raise RequestError(
                f"{other.source} and {source} would both be {board.name}.html: rename one of them"
            )
    return sorted(boards.values(), key=lambda board: board.name)


def _sources(place: Path) -> list[Path]:
    if place.is_dir() and not (place / "cells").is_dir():
        if files := sorted(place.glob("*.jsonl")):
            return files
        raise RequestError(f"{place} has no .jsonl file and is no results folder: publish results with "
                           "`mpobench leaderboard --jsonl FILE.jsonl`")  # fmt: skip
    return [place]


def _board(source: Path) -> Board:
    damaged: list[ResultFileError] = []
    results = read_results(source, damaged.append)
    if not results:
        raise RequestError(f"no results in {source}: make some with `mpobench run`")
    suite = source.with_suffix(".toml")
    folder = source if source.is_dir() else source.parent
    envs = {result.env for result in results}
    curves = [
        curve
        for pattern in BUDGETS
        for file in sorted(folder.glob(pattern))
        for curve in BudgetFile.read(file).curves
        if curve.env in envs
    ]
    stem = source.resolve().name if source.is_dir() else source.stem
    name = re.sub(r"[^\w.-]+", "-", stem, flags=re.ASCII).strip("-.") or "board"
    return Board(
        "board-index" if name == "index" else name,
        source,
        results,
        suite if suite.is_file() else None,
        _tunings(source, suite),
        curves,
        [str(error) for error in damaged],
    )


def _tunings(source: Path, suite: Path) -> tuple[TunedEntry, ...]:
    """Entries of the tuned file that the suite names, from the working folder or beside it; else of the results'."""
    places = [source.with_suffix(".tuned.toml")]
    if suite.is_file():
        named = Suite.from_toml(suite).tuned
        places = [] if named is None else [Path(named), suite.with_name(Path(named).name)]
    return next((TunedFile.read(place).tuned for place in places if place.is_file()), ())
