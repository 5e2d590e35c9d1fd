"""Small trainings of an environment under test: requests, prerequisites, policies and scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpobench.errors import MpobenchError
from mpobench.files.keys import content_key
from mpobench.protocols import (
    DatasetCorruption,
    DatasetRequest,
    Env,
    Evaluator,
    Objective,
    Trained,
    TrainingRequest,
    Workspace,
)
from mpobench.registry.registry import Registry

OBJECTIVE_NAME = "checked"
"""Name under which no environment keeps defaults."""


def training_request(
    env: Env,
    objective: Objective,
    seed: int = 0,
    corruption: DatasetCorruption | None = None,
    overrides: Mapping[str, Any] | None = None,
    key: str = "",
) -> TrainingRequest:
    """A request at the scale ``smoke``, with content keys as a plan makes them."""
    corruption = corruption or DatasetCorruption()
    decided = {
        "env": [type(env).__qualname__, env.model_dump(mode="json", exclude=set(env.not_in_key))],
        "dataset": env.dataset_config("smoke"),
        "corruption": [type(corruption).__qualname__, corruption.model_dump(mode="json")],
        "seed": seed,
    }
    dataset = DatasetRequest(corruption, seed, "smoke", content_key(decided))
    loss = [type(objective).__qualname__, objective.model_dump(mode="json")]
    chosen = dict(overrides or {})
    key = content_key([dataset.key, loss, chosen, key])
    return TrainingRequest(dataset, OBJECTIVE_NAME, objective, seed, chosen, key)


def prepare(env: Env, request: TrainingRequest, workspace: Workspace) -> None:
    """Makes the missing prerequisites of a training, in their order."""
    for prerequisite in env.prerequisites(request):
        if not (workspace.cache / prerequisite.path).exists():
            env.prepare(prerequisite.payload, workspace)


def train(env: Env, request: TrainingRequest, workspace: Workspace) -> Trained:
    """Trains a policy, its prerequisites before it."""
    prepare(env, request, workspace)
    return env.train(request, workspace)


def default_evaluator(env: Env, registry: Registry) -> Evaluator | None:
    """The first of an environment's own evaluators that can be built and fits."""
    for spec in env.default_evaluators:
        try:
            evaluator = registry.build("evaluator", spec).component
        except MpobenchError:
            continue
        if evaluator.skip_reason(env) is None:
            return evaluator
    return None
