"""What two sets of results disagree on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mpobench.results.cell_result import CellResult
from mpobench.results.differences import as_text, differences

RELATIVE = 1e-6
"""Relative difference up to which two numbers are the same."""


@dataclass(frozen=True)
class Disagreement:
    """One cell that both sides have, with different outcomes.

    Attributes:
        first: Result of the first side.
        second: Result of the second side.
        what: What differs: ``status``, or the name of a metric.
        values: The two values, in words.
    """

    first: CellResult
    second: CellResult
    what: str
    values: tuple[str, str]


@dataclass
class Disagreements:
    """What two sets of results disagree on.

    Attributes:
        same: Number of cells that both have, with the same outcome.
        outcomes: Cells of one key with different outcomes.
        reconfigured: Places in the table that both have, but with other configurations: the number of cells, by what
            differs (``training.epochs``, first value, second value).
        only_first: Cells of places that only the first side has.
        only_second: Cells of places that only the second side has.
    """

    same: int = 0
    outcomes: list[Disagreement] = field(default_factory=list)
    reconfigured: dict[tuple[str, str, str], int] = field(default_factory=dict)
    only_first: list[CellResult] = field(default_factory=list)
    only_second: list[CellResult] = field(default_factory=list)

    @property
    def agree(self) -> bool:
        """Whether both sides have the same cells, with the same outcomes."""
        return not (self.outcomes or self.reconfigured or self.only_first or self.only_second)


def disagreements(
    first: Iterable[CellResult], second: Iterable[CellResult], relative: float = RELATIVE
) -> Disagreements:
    """Compares results: by key, and what is left by its place in the table.

    Args:
        first: Results of the first side.
        second: Results of the second side.
        relative: Relative difference up to which two numbers are the same.
    """
    ours, theirs = ({each.key: each for each in side} for side in (first, second))
    found = Disagreements()
    for key in sorted(ours.keys() & theirs.keys()):
        differing = _outcome(ours[key], theirs[key], relative)
        found.outcomes += differing
        found.same += not differing
    left: defaultdict[tuple[Any, ...], tuple[list[CellResult], list[CellResult]]] = defaultdict(
        lambda: ([], [])
    )
    for side, (here, there) in enumerate(((ours, theirs), (theirs, ours))):
        for key in sorted(here.keys() - there.keys()):
            left[_place(here[key])][side].append(here[key])
    for mine, yours in left.values():
        for one, other in zip(mine, yours, strict=False):
            changes = list(differences(one.config, other.config))
            for where, value, another in changes:
                what = where, as_text(value), as_text(another)
                found.reconfigured[what] = found.reconfigured.get(what, 0) + 1
            if not changes:  # cells that were skipped, or keys of another version
                differing = _outcome(one, other, relative)
                found.outcomes += differing
                found.same += not differing
        both = min(len(mine), len(yours))
        found.only_first += mine[both:]
        found.only_second += yours[both:]
    return found


def _place(cell: CellResult) -> tuple[Any, ...]:
    return cell.env, cell.corruption, cell.objective, cell.evaluator, cell.scale, cell.seed


def _outcome(first: CellResult, second: CellResult, relative: float) -> list[Disagreement]:
    differently_skipped = first.status == "skipped" and first.reason != second.reason
    if first.status != second.status or differently_skipped:
        ends = (f"{each.status}: {each.reason}" if each.reason else each.status for each in (first, second))
        one, other = ends
        return [Disagreement(first, second, "status", (one, other))]
    found = []
    for metric in dict.fromkeys([*first.metrics, *second.metrics]):
        value, another = first.metrics.get(metric), second.metrics.get(metric)
        if (
            value is None
            or another is None
            or abs(value - another) > relative * max(abs(value), abs(another))
        ):
            one, other = ("none" if each is None else f"{each:.8g}" for each in (value, another))
            found.append(Disagreement(first, second, metric, (one, other)))
    return found
