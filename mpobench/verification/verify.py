"""Cells of a results file made again, in a folder of their own, and compared with what was published."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mpobench.env_kit.versions import library_versions
from mpobench.files import locks
from mpobench.files.keys import content_key
from mpobench.planning.cells import Training
from mpobench.planning.plan import Plan
from mpobench.planning.recorded import Recorded
from mpobench.registry.registry import Registry
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultStore
from mpobench.running.outcome import Outcome
from mpobench.running.runner import execute
from mpobench.running.workplace import Workplace
from mpobench.verification.tolerance import RELATIVE, Deviation, Spreads


@dataclass(frozen=True)
class Reproduction:
    """One cell, published and made again.

    Attributes:
        published: Result of the file.
        here: The same cell, made again; None if it could not be.
        deviations: Deviations of its metrics; none unless both ended ``ok``.
        problem: One line if it did not end as published, else empty.
    """

    published: CellResult
    here: CellResult | None
    deviations: tuple[Deviation, ...] = ()
    problem: str = ""

    @property
    def passes(self) -> bool:
        """Whether the cell was confirmed."""
        return not self.problem and all(each.passes for each in self.deviations)


@dataclass(frozen=True)
class Verification:
    """The outcome of a verification.

    Attributes:
        reproductions: One for each cell.
        outcome: Outcome of the run that made them again, for its warnings.
    """

    reproductions: tuple[Reproduction, ...]
    outcome: Outcome = field(default_factory=lambda: Outcome(0))

    @property
    def confirmed(self) -> int:
        """Number of cells that were confirmed."""
        return sum(each.passes for each in self.reproductions)

    @property
    def bias(self) -> float | None:
        """Mean deviation of the primary metrics, as a share of what is allowed for one; None without any."""
        shares = [
            deviation.share
            for each in self.reproductions
            for deviation in each.deviations
            if deviation.metric == each.published.primary
        ]
        return sum(shares) / len(shares) if shares else None

    @property
    def most_bias(self) -> float:
        """Largest mean deviation that passes."""
        return 1 / math.sqrt(max(sum(bool(each.deviations) for each in self.reproductions), 1))

    @property
    def passes(self) -> bool:
        """Whether every cell was confirmed, and the numbers are not too high or too low on average."""
        return self.confirmed == len(self.reproductions) and abs(self.bias or 0.0) <= self.most_bias


def verify(
    results: Sequence[CellResult],
    sample: Sequence[CellResult],
    registry: Registry,
    workplace: Workplace,
    *,
    files: Mapping[str, Path] | None = None,
    relative: float = RELATIVE,
) -> Verification:
    """Makes cells again, and compares them.

    An interrupted verification goes on where it stopped when the same cells are verified again; a finished one leaves
    nothing behind, so that the next one computes anew. Shared files (rollouts, SFT stages) come from the cache where
    it has them.

    Args:
        results: All results of the file, for the spread over seeds.
        sample: Cells to make again.
        registry: Installed components.
        workplace: Where and how to compute; an interrupted verification is kept in its cache.
        files: Objective files, by the name in the file.
        relative: Share of a published number that it may be off.

    Raises:
        RequestError: If a cell cannot be made again with what is installed; nothing has been computed then.
        KeyboardInterrupt: On Ctrl-C; finished cells are kept.
    """
    recorded = Recorded(registry, files or {})
    trainings = _merged(recorded.training(result) for result in sample)
    identity = [sorted(each.key for each in sample), [library_versions(each.env) for each in trainings]]
    store = ResultStore(workplace.cache / "verifications" / content_key(identity))
    plan = Plan(tuple(cell for training in trainings for cell in training.cells), tuple(trainings))
    with locks.lock(store.folder):  # another verification of these cells removes the folder at its end
        outcome = execute(plan, store, workplace)
        spreads = Spreads(results)
        reproductions = tuple(_compared(each, store.load(each.key), spreads, relative) for each in sample)
        shutil.rmtree(store.folder)
    return Verification(reproductions, outcome)


def _merged(trainings: Iterable[Training]) -> list[Training]:
    """Trainings with the cells of all that are the same."""
    merged: dict[str, Training] = {}
    for training in trainings:
        first = merged.get(training.key)
        merged[training.key] = (
            training
            if first is None
            else replace(
                first,
                cells=(*first.cells, *training.cells),
                evaluators=(*first.evaluators, *training.evaluators),
            )
        )
    return list(merged.values())


def _compared(
    published: CellResult, here: CellResult | None, spreads: Spreads, relative: float
) -> Reproduction:
    if here is None:
        return Reproduction(published, None, problem="it could not be made again")
    if here.status != published.status:
        reason = f": {here.reason}" if here.reason else ""
        return Reproduction(
            published, here, problem=f"published {published.status!r}, here {here.status!r}{reason}"
        )
    if published.status != "ok":
        return Reproduction(published, here)
    return Reproduction(published, here, tuple(spreads.deviations(published, here, relative)))
