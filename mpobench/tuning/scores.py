"""Scores of configurations: trainings like any of a leaderboard's, carried out by the runner on any launcher."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mpobench.display.progress import duration
from mpobench.errors import MpobenchError
from mpobench.planning.cells import Cell, Training
from mpobench.planning.plan import Plan
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultFileError, ResultStore
from mpobench.running.runner import execute
from mpobench.running.workplace import Workplace
from mpobench.tuning.space import Point
from mpobench.tuning.study import Study


@dataclass(frozen=True)
class Job:
    """A configuration of a study to train at a seed."""

    study: Study
    point: Point
    seed: int


class Scores:
    """Measures configurations. Results stay in a folder, so that none is computed twice.

    Args:
        store: Folder of the results.
        workplace: Where and how trainings run.
        total: Number of trainings that are expected, for the ETA.
        note: Function of a line for the user.
    """

    def __init__(
        self,
        store: ResultStore,
        workplace: Workplace,
        total: int,
        note: Callable[[str], None],
    ) -> None:
        self._store, self._workplace, self._note = store, workplace, note
        self._seconds, self._trained, self._left = 0.0, 0, total

    def measure(self, jobs: Sequence[Job], title: str) -> list[float]:
        """The score of each job: the evaluator's first metric, more is better; NaN where it diverged.

        Raises:
            MpobenchError: If a training failed in another way; what was computed is kept.
        """
        planned = [job.study.trainings(job.point, [job.seed])[0] for job in jobs]
        due = {cell.key: (cell, training) for cell, training in planned if self._known(cell) is None}
        if due:
            self._note(f"{title}: {len(due)} trainings{self._eta()}")
            self._train(list(due.values()))
        self._left -= len(jobs)
        results = [self._result(cell) for cell, _ in planned]
        return [
            job.study.sign * result.metrics[result.primary] if result.status == "ok" else math.nan
            for job, result in zip(jobs, results, strict=True)
        ]

    def _train(self, due: list[tuple[Cell, Training]]) -> None:
        began = time.monotonic()
        plan = Plan(tuple(cell for cell, _ in due), tuple(training for _, training in due))
        outcome = execute(plan, self._store, self._workplace)
        for line in (*outcome.replaced, *outcome.ungrouped):
            self._note(f"warning: {line}")
        for _, training in due:  # a trial's policy has served its purpose
            shutil.rmtree(self._store.policy_folder(training.key), ignore_errors=True)
        self._seconds += time.monotonic() - began
        self._trained += len(due)

    def _eta(self) -> str:
        if not self._trained:
            return ""
        return f", ETA {duration(self._seconds / self._trained * self._left)}"

    def _known(self, cell: Cell) -> CellResult | None:
        """A result that counts. One that failed, but did not diverge, is forgotten: the fault may be mended."""
        try:
            result = self._store.load(cell.key)
        except ResultFileError:  # the run sets it aside
            return None
        if result is not None and result.status == "error":
            with contextlib.suppress(FileNotFoundError):
                self._store.path(cell.key).unlink()
            return None
        return result

    def _result(self, cell: Cell) -> CellResult:
        result = self._store.load(cell.key)
        if result is None or result.status not in ("ok", "diverged"):
            reason = "it has no result" if result is None else result.reason
            raise MpobenchError(
                f"a trial cannot be computed, {cell}: {reason}; what was computed is kept, the same command tries again"
            )
        return result
