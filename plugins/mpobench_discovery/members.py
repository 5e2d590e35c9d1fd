"""In a worker: members of a generation, trained and scored like any objective of the leaderboard."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mpobench import DivergedError, Env, Evaluator, GroupTraining, Trained, TrainingRequest, Workspace
from mpobench.planning.cells import Training
from mpobench_discovery.genome import Numbers, with_numbers


@dataclass(frozen=True)
class Member:
    """What a worker needs to know of one member.

    Attributes:
        generation: from 1; −n for the comparison of the start with the result of n generations.
        index: within the generation.
        training: of the start, whose objective is replaced: it has environment, dataset and evaluator.
        numbers: of the learned fields, as the objective has them; None for the start itself.
        training_seed: of the training.
        evaluation_seed: of the score.
    """

    generation: int
    index: int
    training: Training
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


def scores(members: Sequence[Member], cache: Path) -> list[Score]:
    """Trains members, several at once if there are several, and evaluates their policies.

    Args:
        members: of one training.
        cache: the folder that runs share.
    """
    began = time.perf_counter()
    training, workspace = members[0].training, Workspace(cache)
    requests = [_request(member, training.request) for member in members]
    policies = _train(training.env, requests, workspace)
    share = (time.perf_counter() - began) / len(members)
    return [
        _scored(member, training, trained, share, workspace)
        for member, trained in zip(members, policies, strict=True)
    ]


def _request(member: Member, start: TrainingRequest) -> TrainingRequest:
    request = replace(start, seed=member.training_seed)
    if member.numbers is None:
        return request
    return replace(request, objective=with_numbers(request.objective, member.numbers))


def _train(env: Env, requests: Sequence[TrainingRequest], workspace: Workspace) -> Sequence[Trained | None]:
    """A policy for each request; None where training diverged."""
    if len(requests) > 1 and isinstance(env, GroupTraining):
        group_keys = {env.group_key(request) for request in requests}
        if len(group_keys) == 1 and group_keys != {""}:
            # A group that fails, for want of memory say, may train one by one; other faults are met again there.
            with contextlib.suppress(Exception):
                return env.train_group(requests, workspace)
    return [_train_alone(env, request, workspace) for request in requests]


def _train_alone(env: Env, request: TrainingRequest, workspace: Workspace) -> Trained | None:
    try:
        return env.train(request, workspace)
    except DivergedError:
        return None


def _scored(
    member: Member, training: Training, trained: Trained | None, share: float, workspace: Workspace
) -> Score:
    """Evaluates a member's policy.

    Args:
        member: whose.
        training: with the evaluator.
        trained: the policy, if its training did not diverge.
        share: seconds that the training took of the member's worker.
        workspace: for the evaluator.
    """
    began = time.perf_counter()
    planned = training.evaluators[0]
    metrics: dict[str, float] = {}
    if trained is not None:
        with contextlib.suppress(DivergedError):
            metrics = planned.evaluator.evaluate(
                training.env,
                trained.policy,
                member.evaluation_seed,
                training.request.dataset.scale,
                workspace,
            )
    return Score(
        member.generation,
        member.index,
        _fitness(planned.evaluator, metrics),
        share + time.perf_counter() - began,
        _steps(training, metrics),
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
    episodes = training.evaluators[0].config.get("episodes", 0)
    steps = metrics.get("length", 0.0) * float(episodes)
    return round(steps) if math.isfinite(steps) else 0
