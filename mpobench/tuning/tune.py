"""A tuning from request to files: ``tuned.toml``, ``budget.json``, and the journal and results that they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mpobench.files.cache import cache_folder
from mpobench.planning.suite import Suite
from mpobench.planning.tuned_file import TunedEntry, TunedFile
from mpobench.registry.registry import Registry
from mpobench.results.store import ResultStore
from mpobench.running.kept_open import kept_open
from mpobench.running.workplace import Workplace
from mpobench.tuning.budget import measure_budgets
from mpobench.tuning.budget_file import BudgetCurve, BudgetFile
from mpobench.tuning.journal import Journal, held
from mpobench.tuning.outcome import tuned_entry
from mpobench.tuning.scores import Scores
from mpobench.tuning.search import expected_trainings, search
from mpobench.tuning.settings import Tuning
from mpobench.tuning.study import plan_studies


@dataclass(frozen=True)
class Tuned:
    """The outcome of a tuning.

    Attributes:
        file: Tuned file, with earlier entries of other objectives and datasets.
        budget: File of the score against budget, likewise.
        entries: Entries of this request.
        curves: Curves of this request.
        warnings: Lines for the user: of optima on an edge, of what diverged throughout.
    """

    file: Path
    budget: Path
    entries: tuple[TunedEntry, ...]
    curves: tuple[BudgetCurve, ...]
    warnings: tuple[str, ...]


def tune(
    suite: Suite,
    tuning: Tuning,
    folder: Path,
    registry: Registry,
    note: Callable[[str], None],
    *,
    everywhere: bool = False,
) -> Tuned:
    """Tunes every objective of a suite on each of its datasets.

    Args:
        suite: Environments, corruptions, objectives, scale and launcher; of evaluators the first one. Its seeds and its
            results folder do not matter.
        tuning: Budget.
        folder: Folder of the tuning; one that holds an earlier tuning is gone on with.
        registry: Installed components.
        note: Function of a line for the user.
        everywhere: Whether what is found counts on other corruptions too, where nothing was tuned.

    Raises:
        RequestError: If the request cannot be carried out, or the folder's files are damaged; nothing is computed then.
        MpobenchError: If a training fails in another way than by diverging; what was computed is kept.
        KeyboardInterrupt: On Ctrl-C; likewise.
    """
    planned = plan_studies(suite, tuning, registry)
    launcher = registry.build("launcher", suite.launcher).component
    for line in planned.skipped:
        note(line)
    with held(folder):
        file, budget = folder / "tuned.toml", folder / "budget.json"
        earlier = TunedFile.read(file) if file.exists() else TunedFile()
        earlier_curves = BudgetFile.read(budget) if budget.exists() else BudgetFile()
        journal = Journal(folder)
        with kept_open(launcher) as kept:
            workplace = Workplace(kept, cache_folder(), suite.workers, suite.cell_timeout)
            total = expected_trainings(len(planned.studies), tuning)
            scores = Scores(ResultStore(folder / "results"), workplace, total, note)
            trials = search(planned.studies, tuning, journal, scores)
            curves = measure_budgets(planned.studies, trials, tuning, scores)
        entries, warnings = [], []
        for study, known, curve in zip(planned.studies, trials, curves, strict=True):
            entry = tuned_entry(study, known, curve, tuning, everywhere=everywhere)
            if entry is None:
                warnings.append(f"{study}: every trial diverged")
                continue
            entries.append(entry)
            warnings += [f"{study}: {edge}: the optimum may lie beyond" for edge in entry.edges]
        tuned = earlier.updated(entries)
        counting = {entry.place for entry in tuned.tuned if entry.everywhere}
        warnings += [
            f"{entry} no longer counts everywhere: what was tuned now does"
            for entry in earlier.tuned
            if entry.everywhere and entry.place not in counting
        ]
        earlier_curves.updated(curves).write(budget)
        tuned.write(file)
    return Tuned(file, budget, tuple(entries), tuple(curves), tuple(warnings))
