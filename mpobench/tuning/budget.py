"""Score against budget: the best of the first 1, 2, 4, … trials, measured on seeds that no trial has used.

It tells a loss that needs a hundred trials from one that needs five. The choice is made by tuning scores alone, so the
curve may fall: that is what overfitting the tuning seeds looks like.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from mpobench.errors import RequestError, problems
from mpobench.files.atomic import write_atomically
from mpobench.files.text import without_mark
from mpobench.protocols import Scale
from mpobench.protocols.component import Strict
from mpobench.tuning.scores import Job, Scores
from mpobench.tuning.settings import Tuning
from mpobench.tuning.study import Study
from mpobench.tuning.trial import Trial, best

CONFIDENCE = 0.95


class BudgetPoint(Strict):
    """The best trial of a budget.

    Attributes:
        trials: Budget.
        trial: Number of the best trial, from 0, the defaults.
        tuning_score: Its mean on the tuning seeds.
        fields: Its fields of the objective.
        training: Its fields of the training configuration.
        scores: Its metric on each held-out seed; None where it diverged.
        mean: Mean of these; None if it diverged on all.
        standard_error: Standard error of the mean; None from less than two scores.
        low: Lower end of the mean's 95 % interval (Student's t); None likewise.
        high: Upper end.
    """

    trials: int
    trial: int
    tuning_score: float | None
    fields: dict[str, Any]
    training: dict[str, Any]
    scores: tuple[float | None, ...]
    mean: float | None
    standard_error: float | None
    low: float | None
    high: float | None


class BudgetCurve(Strict):
    """The curve of one objective on one dataset.

    Attributes:
        env: Canonical spec, like the next three.
        corruption: Corruption of the dataset.
        objective: Objective, with the fields that were set beforehand.
        evaluator: Evaluator of the score.
        scale: Amount of work of a training.
        metric: Name of the score.
        unit: Unit of the score.
        higher_is_better: Direction of the score.
        held_out_seeds: Seeds of the scores.
        points: Points, by budget.
    """

    env: str
    corruption: str
    objective: str
    evaluator: str
    scale: Scale
    metric: str
    unit: str
    higher_is_better: bool
    held_out_seeds: tuple[int, ...]
    points: tuple[BudgetPoint, ...]

    @property
    def place(self) -> tuple[str, str, str]:
        """Environment, corruption and objective."""
        return self.env, self.corruption, self.objective


class BudgetFile(Strict):
    """All curves of a tuning's folder."""

    format: Literal["mpobench-tuning-budget/1"] = "mpobench-tuning-budget/1"
    curves: tuple[BudgetCurve, ...] = ()

    @classmethod
    def read(cls, path: Path) -> BudgetFile:
        """Reads a file.

        Raises:
            RequestError: In one line, if it cannot be read or is something else.
        """
        try:
            return cls.model_validate_json(without_mark(path.read_bytes()))
        except OSError as error:
            raise RequestError(f"cannot read {path}: {error.strerror}; `mpobench tune` makes it") from error
        except ValidationError as error:
            raise RequestError(f"{path} is no score against budget: {problems(error)[0]}") from error

    def write(self, path: Path) -> None:
        """Writes the file atomically, curves sorted."""
        ordered = BudgetFile(curves=tuple(sorted(self.curves, key=lambda curve: curve.place)))
        write_atomically(path, ordered.model_dump_json(indent=1) + "\n")

    def updated(self, curves: Iterable[BudgetCurve]) -> BudgetFile:
        """The file with other curves in place of its own for the same objective and dataset."""
        by_place = {curve.place: curve for curve in (*self.curves, *curves)}
        return BudgetFile(curves=tuple(by_place.values()))


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
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None, None
    error = math.hypot(*(value - mean for value in values)) / math.sqrt(len(values) * (len(values) - 1))
    return mean, error, float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * error
