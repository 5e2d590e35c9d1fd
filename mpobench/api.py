"""The Python door: what the command line does, as functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from mpobench.files.atomic import write_atomically
from mpobench.files.cache import cache_folder
from mpobench.leaderboard.loaded import Results
from mpobench.leaderboard.page import TITLE, Leaderboard
from mpobench.planning.cells import Cell
from mpobench.planning.plan import Plan, plan
from mpobench.planning.suite import Rerun, Suite
from mpobench.planning.tuned_file import TunedFile
from mpobench.protocols import Objective, Scale
from mpobench.registry.registry import get_registry
from mpobench.results.store import ResultFileError, ResultStore
from mpobench.running.outcome import Outcome
from mpobench.running.runner import execute, refusal
from mpobench.running.workplace import Workplace

if TYPE_CHECKING:
    import pandas as pd


def objective(spec: str) -> Objective:
    """A configured objective, ready to compute losses with any array library.

    Args:
        spec: ``"dpo:beta=0.2"``, or an objective file, ``"found/objective.json:lam=0.5"``.

    Raises:
        RequestError: For an unknown name or field, or a value that is not allowed.

    Example:
        >>> mpobench.objective("dpo:beta=0.2").beta
        0.2
    """
    return get_registry().build("objective", spec).component


@dataclass(frozen=True, repr=False)
class Run:
    """The outcome and the results of a run.

    Attributes:
        outcome: Counts and failures.
        notes: Lines about rows that tuned values do not cover.
        results: Results of every cell in the folder, this run's and earlier ones'.
        damaged: Files in the results folder that are truncated or not ours.
        leaderboard: Leaderboard of these results.
    """

    outcome: Outcome
    notes: tuple[str, ...]
    results: Results
    damaged: list[ResultFileError]
    leaderboard: Leaderboard

    def to_frame(self) -> pd.DataFrame:
        """The results, one row a cell; see :meth:`mpobench.Results.to_frame`."""
        return self.results.to_frame()

    def __repr__(self) -> str:
        done = self.outcome
        return f"<a run of {done.planned} cells: ran {done.counts}; {done.reused} were there before>"

    def _repr_html_(self) -> str:
        """The main tables, for Jupyter."""
        return self.leaderboard.html()


def planned(suite: Suite) -> Plan:
    """The cells of a suite, and what has to be trained for them."""
    return plan(suite, get_registry())


def missing(cells: tuple[Cell, ...], results: Path) -> int:
    """The number of cells that have no result yet."""
    there = ResultStore(results).keys()
    return sum(cell.key not in there for cell in cells)


def refusals(expanded: Plan, suite: Suite) -> list[str]:
    """The reasons for which a run would be refused before anything is computed, each once.

    Trainings of which all results are there are not asked, as in a run that computes none of them again.
    """
    there = ResultStore(suite.results).keys() if suite.rerun == "missing" else set()
    due = (each for each in expanded.trainings if any(cell.key not in there for cell in each.cells))
    refused = [refusal(training) for training in due]
    return list(dict.fromkeys(str(error) for error in refused if error))


def run_suite(suite: Suite, note: Callable[[str], None] = lambda line: None) -> Run:
    """Runs a suite, and writes ``leaderboard.md`` into its results folder.

    Args:
        suite: Suite.
        note: Function that is called with each note before the run begins.

    Raises:
        RequestError: If the suite cannot be carried out as asked; nothing has been computed then.
        KeyboardInterrupt: On Ctrl-C; finished cells are kept, the same call goes on.
    """
    registry = get_registry()
    expanded = plan(suite, registry)
    tunings = TunedFile.read(suite.tuned).tuned if suite.tuned else ()
    for line in expanded.notes:
        note(line)
    launcher = registry.build("launcher", suite.launcher).component
    store = ResultStore(suite.results)
    trackers = {spec: registry.build("tracker", spec).component for spec in suite.log}
    workplace = Workplace(launcher, cache_folder(), suite.workers, suite.cell_timeout)
    outcome = execute(expanded, store, workplace, suite.rerun, trackers)
    damaged: list[ResultFileError] = []
    results = store.load_all(damaged.append, outcome.known)
    leaderboard = Leaderboard.of(results, tunings)
    page = leaderboard.markdown(suite.title or TITLE)
    write_atomically(suite.results / "leaderboard.md", page)
    return Run(outcome, expanded.notes, Results(results, damaged), damaged, leaderboard)


class SuiteOptions(TypedDict, total=False):
    """The options of a run, as on the command line; see :class:`~mpobench.planning.suite.Suite` for each.

    Lists may be comma lists or sequences of specs; what is None or absent has the suite file's value, or its default.
    """

    envs: str | Sequence[str] | None
    corruptions: str | Sequence[str] | None
    objectives: str | Sequence[str] | None
    evaluators: str | Sequence[str] | None
    scale: Scale | None
    seeds: int | None
    training: Mapping[str, Any] | None
    tuned: str | Path | None
    results: str | Path | None
    launcher: str | None
    workers: int | None
    cell_timeout: float | None
    log: str | Sequence[str] | None
    rerun: Rerun | None
    title: str | None


def run(suite: str | Path | None = None, **options: Unpack[SuiteOptions]) -> Run:
    """Runs a suite: ``mpobench run``.

    Args:
        suite: A TOML file, or None.
        **options: Options of the command line, above the file's.

    Example:
        >>> run = mpobench.run(objectives="dpo,orpo", corruptions="noisy:0.1", scale="smoke")
        >>> run.to_frame()[["objective", "seed", "score"]]

    Raises:
        RequestError: As :func:`run_suite`.
    """
    return run_suite(_suite(suite, options, "mpobench.run"))


def dry_run(suite: str | Path | None = None, **options: Unpack[SuiteOptions]) -> Plan:
    """The cells and trainings of a suite, of which nothing is computed: ``mpobench run --dry-run``.

    Args:
        suite: A TOML file, or None.
        **options: As of :func:`run`.

    Raises:
        RequestError: If the suite cannot be carried out as asked.
    """
    return planned(_suite(suite, options, "mpobench.dry_run"))


def _suite(suite: str | Path | None, options: SuiteOptions, source: str) -> Suite:
    values: dict[str, Any] = dict(options)
    return Suite.of(values, source) if suite is None else Suite.from_toml(Path(suite), values)
