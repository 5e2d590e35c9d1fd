"""The outcome of a tuning: an entry of a tuned file for each study."""

from __future__ import annotations

from collections.abc import Sequence

from mpobench import __version__
from mpobench.planning.tuned_file import TunedEntry
from mpobench.tuning.budget_file import BudgetCurve
from mpobench.tuning.settings import Tuning
from mpobench.tuning.study import Study
from mpobench.tuning.trial import Trial, best


def tuned_entry(
    study: Study, trials: Sequence[Trial], curve: BudgetCurve, tuning: Tuning, *, everywhere: bool
) -> TunedEntry | None:
    """The entry of a study; None if every trial diverged.

    Args:
        study: Study.
        trials: All of its trials.
        curve: Score against budget.
        tuning: Request.
        everywhere: Whether the values count on other corruptions too.
    """
    winner = trials[best(trials)]
    if winner.diverged:
        return None
    configured, values = study.objective.configured, study.space.values(winner.point)
    return TunedEntry(
        env=study.env.env.text,
        corruption=study.dataset.corruption.text,
        # An objective file that no plugin registers is found by its path alone.
        objective=configured.text if configured.file is None else study.spec,
        scale=study.env.scale,
        evaluator=study.env.evaluators[0].text,
        score=float(f"{study.sign * winner.mean:.5g}"),
        held_out=_rounded(curve.points[-1].mean),
        held_out_error=_rounded(curve.points[-1].standard_error),
        default=_rounded(curve.points[0].mean),
        default_error=_rounded(curve.points[0].standard_error),
        trials=len(trials),
        trainings=sum(len(trial.scores) for trial in trials),
        tuning_seeds=_span(tuning.tuning_seeds),
        held_out_seeds=_span(tuning.held_out_seeds),
        edges=study.space.edges(winner.point),
        dataset=study.env.data_key(study.env.scale),
        mpobench=__version__,
        fields=values.fields,
        training=values.training,
        fixed=study.env.overrides,
        everywhere=everywhere,
    )


def _span(seeds: range) -> str:
    return f"{seeds[0]} to {seeds[-1]}"


def _rounded(value: float | None) -> float | None:
    """Five significant digits: more than any score has."""
    return None if value is None else float(f"{value:.5g}")
