"""The tables of some results that have performance profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mpobench import RequestError
from mpobench.leaderboard.profiles import scores
from mpobench.leaderboard.standings import Section, standings
from mpobench.registry.suggestions import suggest
from mpobench.results.store import read_results


def tables_to_draw(results: Path, objectives: Sequence[str] | None) -> tuple[list[Section], list[str]]:
    """The tables of which some row has a profile.

    Args:
        results: Results folder, or published file.
        objectives: Rows to keep, by objective; None for all.

    Returns:
        The tables, and a line for each that has no row with a profile, or in which rows did not finish.

    Raises:
        RequestError: If an objective is in no table, or no row of any has a profile.
    """
    sections = standings(read_results(results))
    there = {row.objective for section in sections for row in section.rows}
    for name in objectives or ():
        if name not in there:
            raise RequestError(
                f"no results of objective {name!r} in {results}: {suggest(name, sorted(there))}"
            )
    kept, left_out = [], []
    for whole in sections:
        rows = tuple(row for row in whole.rows if objectives is None or row.objective in objectives)
        section = replace(whole, rows=rows)
        complete = section.complete[1]
        if lost := [row.objective for row in rows if not any(row is other for other in complete)]:
            where = f"{section.env}, {section.evaluator}, {section.scale} scale"
            left_out.append(f"{where}: not all cells of {', '.join(lost)} finished: left out")
        if scores(section):
            kept.append(section)
    if not kept:
        raise RequestError(
            f"no profile to draw from {results}: no objective has a normalised score for every seed and corruption"
        )
    return kept, left_out
