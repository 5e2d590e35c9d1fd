"""In a worker: members of a generation, trained and scored like any objective of the leaderboard."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mpobench import DivergedError, Env, Evaluator, GroupTraining, Trained, TrainingRequest, Workspace
from mpobench.errors import one_line
from mpobench.files.keys import content_key
from mpobench.planning.cells import Training
from mpobench.running.preparation import prepare, prepare_and_train
from mpobench_discovery.genome import Numbers, with_numbers


@dataclass(frozen=True)
class Member:
    """One member of a generation. It pickles.

    Attributes:
        generation: Number of the generation, from 1; −n for the comparison of the start with the result of n
            generations.
        index: Place within the generation.
        training: Training of the start; it names environment, dataset and evaluator.
        numbers: Arrays of the learned fields, as the objective has them; None for the start itself.
        training_seed: Seed of the training.
        evaluation_seed: Seed of the score.
    """

    generation: int
    index: int
    training: Training
    numbers: Numbers | None
    training_seed: int
    evaluation_seed: int

    @property
    def request(self) -> TrainingRequest:
        """The training of this member: the start's, with the member's objective, seed and a key of their own."""
        start = self.training.request
        objective = start.objective
        if self.numbers is not None:
            objective = with_numbers(objective, self.numbers)
        key = content_key([start.key, objective.model_dump(mode="json"), self.training_seed])
        return replace(start, objective=objective, seed=self.training_seed, key=key)


@dataclass(frozen=True)
class Score:
    """The fitness of a member, and its cost.

    Attributes:
        generation: Generation of the member.
        index: Place of the member within it.
        fitness: First metric of the evaluator, or its negative where less is better; NaN if the member diverged.
        seconds: Seconds of one core, for training and evaluation.
        steps: Environment steps of the evaluation; 0 if the evaluator does not count them.
    """

    generation: int
    index: int
    fitness: float
    seconds: float
    steps: int


@dataclass(frozen=True)
class Scores:
    """What a worker measured.

    Attributes:
        scores: Score of each member.
        notes: Lines for the user.
    """

    scores: list[Score]
    notes: list[str]


def scores(members: Sequence[Member], cache: Path) -> Scores:
    """Trains members, in one program where the environment can, and evaluates their policies.

    Args:
        members: Members with the same training.
        cache: Folder that runs share.
    """
    began, notes = time.perf_counter(), list[str]()
    training, workspace = members[0].training, Workspace(cache, note=notes.append)
    policies = train_members(training.env, [member.request for member in members], workspace)
    share = (time.perf_counter() - began) / len(members)
    scored = [
        _scored(member, training, trained, share, workspace)
        for member, trained in zip(members, policies, strict=True)
    ]
    return Scores(scored, notes)


def train_members(
    env: Env, requests: Sequence[TrainingRequest], workspace: Workspace
) -> Sequence[Trained | None]:
    """A policy for each request; None where training diverged.

    The workspace is told of a group that failed: its members are trained one by one.

    Raises:
        Exception: Whatever a single training raises, but for :class:`~mpobench.DivergedError`.
    """
    if len(requests) > 1 and isinstance(env, GroupTraining):
        group_keys = {env.group_key(request) for request in requests}
        if len(group_keys) == 1 and "" not in group_keys:
            # A group may fail where single trainings do not, for want of memory say; other faults are met again there.
            try:
                for request in requests:
                    prepare(env, request, workspace)
                return env.train_group(requests, workspace)
            except Exception as error:  # noqa: BLE001  # whatever it is, the user is told
                workspace.note(
                    f"{len(requests)} members could not be trained as a group, and are trained one by one: "
                    f"{one_line(error)}"
                )
    return [_train(env, request, workspace) for request in requests]


def _train(env: Env, request: TrainingRequest, workspace: Workspace) -> Trained | None:
    with contextlib.suppress(DivergedError):
        return prepare_and_train(env, request, workspace)
    return None


def _scored(
    member: Member, training: Training, trained: Trained | None, share: float, workspace: Workspace
) -> Score:
    """Evaluates a member's policy.

    Args:
        member: Member.
        training: Training with the evaluator.
        trained: Trained policy; None if the training diverged.
        share: Seconds that the training took of the member's worker.
        workspace: Workspace of the evaluator.
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
    """The first metric, with the sign that makes more better; NaN where there is none."""
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
