"""In a worker: one member of a generation, trained and scored like any objective of the leaderboard."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

from mpobench import DivergedError, Evaluator, Workspace
from mpobench.cells import Training, TrainingSpec
from mpobench.registry import get_registry
from mpobench_discovery.genome import Numbers, with_numbers


@dataclass(frozen=True)
class Member:
    """What a worker needs to know of one member.

    Attributes:
        generation: from 1; −n for the comparison of the start with the result of n generations.
        index: within the generation.
        spec: training of the start, whose objective is replaced: it names environment, dataset and evaluator.
        numbers: of the learned fields, as the objective has them; None for the objective that ``spec`` names.
        training_seed: of the training.
        evaluation_seed: of the score.
    """

    generation: int
    index: int
    spec: TrainingSpec
    numbers: Numbers | None
    training_seed: int
    evaluation_seed: int


@dataclass(frozen=True)
class Score:
    """What a member was worth, and what it cost.

    Attributes:
        generation: of the member.
        index: of the member.
        fitness: its evaluator's first metric, or its negative where less is better; NaN if the member diverged.
        seconds: of one core, for training and evaluation.
        steps: of the environment, alive, in its evaluation; 0 if nobody counts.
    """

    generation: int
    index: int
    fitness: float
    seconds: float
    steps: int


def score(member: Member, cache: Path) -> Score:
    """Trains a member and evaluates its policy."""
    began = time.perf_counter()
    training = member.spec.build(get_registry())
    (evaluator,) = training.evaluators
    try:
        metrics = _metrics(member, training, cache)
    except DivergedError:
        metrics = {}
    return Score(
        member.generation,
        member.index,
        _fitness(evaluator.component, metrics),
        time.perf_counter() - began,
        _steps(training, metrics),
    )


def _metrics(member: Member, training: Training, cache: Path) -> dict[str, float]:
    request = replace(training.request, seed=member.training_seed)
    if member.numbers is not None:
        request = replace(request, objective=with_numbers(request.objective, member.numbers))
    env, workspace = training.env.component, Workspace(cache)
    for each in env.prerequisites(request):
        if not (cache / each.path).exists():
            env.prepare(each.payload, request, workspace)
    trained = env.train(request, workspace)
    (evaluator,) = training.evaluators
    return evaluator.component.evaluate(
        env, trained.policy, member.evaluation_seed, request.dataset.scale, workspace
    )


def _fitness(evaluator: Evaluator, metrics: dict[str, float]) -> float:
    """The first metric, turned so that more is better; NaN where there is none."""
    first = evaluator.metrics[0]
    value = metrics.get(first.name, math.nan)
    if not math.isfinite(value):
        return math.nan
    return value if first.higher_is_better else -value


def _steps(training: Training, metrics: dict[str, float]) -> int:
    """Environment steps of an evaluation, where the evaluator tells episodes and their mean length."""
    (evaluator,) = training.evaluators
    config = evaluator.component.config(training.env.component, training.request.dataset.scale)
    steps = metrics.get("length", 0.0) * float(config.get("episodes", 0))
    return round(steps) if math.isfinite(steps) else 0
