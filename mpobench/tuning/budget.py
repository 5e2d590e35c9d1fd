"""Score against budget: the best of the first 1, 2, 4, … trials, measured on seeds that no trial has used.

It tells a loss that needs a hundred trials from one that needs five. The choice is made by tuning scores alone, so the
curve may fall: that is what overfitting the tuning seeds looks like.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mpobench.leaderboard.resampling import CONFIDENCE
from mpobench.leaderboard.statistics import mean_and_standard_error
from mpobench.tuning.budget_file import BudgetCurve, BudgetPoint
from mpobench.tuning.scores import Job, Scores
from mpobench.tuning.settings import Tuning
from mpobench.tuning.study import Study
from mpobench.tuning.trial import Trial, best


def measure_budgets(
    studies: Sequence[Study], trials: Sequence[Sequence[Trial]], tuning: Tuning, scores: Scores
) -> list[BudgetCurve]:
    """Measures the best trial of each budget, each trial once.

    Raises:
        MpobenchError: If a training fails in another way than by diverging.
    """
    seeds = tuning.held_out_seeds
    chosen = [{budget: best(known[:budget]) for budget in tuning.budgets} for known in trials]
    places = [(at, number) for at, numbers in enumerate(chosen) for number in sorted(set(numbers.values()))]
    jobs = [Job(studies[at], trials[at][number].point, seed) for at, number in places for seed in seeds]
    measured = iter(scores.measure(jobs, f"held-out seeds to {seeds[-1]}"))
    held_out = {place: [next(measured) for _ in seeds] for place in places}
    return [
        _curve(
            study,
            seeds,
            [
                _point(study, budget, number, trials[at][number], held_out[at, number])
                for budget, number in chosen[at].items()
            ],
        )
        for at, study in enumerate(studies)
    ]


def _curve(study: Study, seeds: Iterable[int], points: Iterable[BudgetPoint]) -> BudgetCurve:
    return BudgetCurve(
        env=study.env.env.text,
        corruption=study.dataset.corruption.text,
        objective=study.objective.text,
        evaluator=study.env.evaluators[0].text,
        scale=study.env.scale,
        metric=study.metric.name,
        unit=study.metric.unit,
        higher_is_better=study.metric.higher_is_better,
        held_out_seeds=tuple(seeds),
        points=tuple(points),
    )


def _point(study: Study, budget: int, number: int, trial: Trial, scores: Sequence[float]) -> BudgetPoint:
    metric = [study.sign * score if math.isfinite(score) else None for score in scores]
    finite = [score for score in metric if score is not None]
    mean, error, reach = estimate(finite)
    values = study.space.values(trial.point)
    return BudgetPoint(
        trials=budget,
        trial=number,
        tuning_score=None if trial.diverged else study.sign * trial.mean,
        fields=dict(values.fields),
        training=dict(values.training),
        scores=tuple(metric),
        mean=mean,
        standard_error=error,
        low=None if mean is None or reach is None else mean - reach,
        high=None if mean is None or reach is None else mean + reach,
    )


def estimate(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Mean, its standard error, and the half width of its 95 % interval by Student's t; None where unknown."""
    from scipy.special import stdtrit

    if not values:
        return None, None, None
    known = mean_and_standard_error(values)
    if known.standard_error is None:
        return known.mean, None, None
    reach = float(stdtrit(known.n - 1, (1 + CONFIDENCE) / 2)) * known.standard_error
    return known.mean, known.standard_error, reach
