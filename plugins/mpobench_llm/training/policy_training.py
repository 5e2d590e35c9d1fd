"""The training of one policy on one dataset: the paper's protocol (§5, Table 9), in one stage or two."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from mpobench import DatasetRequest, SequenceLogps, Trained, TrainingRequest, Workspace
from mpobench.files.keys import content_key
from mpobench_llm.configuration import LanguageConfiguration
from mpobench_llm.models.tokens import Row
from mpobench_llm.settings import NOT_IN_KEY
from mpobench_llm.training import resumable
from mpobench_llm.training.cloning import Cloning
from mpobench_llm.training.curves import KL, QUANTITIES, RATIOS
from mpobench_llm.training.sft_stage import load_sft_stage, untrained_reference
from mpobench_llm.training.stage import Stage, adapter_config

_CURVES = (*QUANTITIES, *RATIOS, KL)


def train(env: LanguageConfiguration, request: TrainingRequest, workspace: Workspace) -> Trained:
    """Trains a policy.

    Raises:
        DivergedError: When the loss or the weights leave the finite numbers.
    """
    began = time.perf_counter()
    curves: dict[str, list[Any]] = {name: [] for name in ("stage", *_CURVES)}
    kept = env.kept_rows(request, workspace)
    stage = _last_stage(env, request, workspace, kept.rows, curves)
    loaded = time.perf_counter()
    policy, last_curves = resumable.carry_out(stage, workspace, "training")
    _extend(curves, "po", last_curves)
    seconds = {"load": loaded - began, "train": time.perf_counter() - loaded}
    return Trained(policy, curves, seconds, kept.counts.facts())


def _last_stage(
    env: LanguageConfiguration,
    request: TrainingRequest,
    workspace: Workspace,
    rows: list[Row],
    curves: dict[str, list[Any]],
) -> Stage:
    """The stage that the objective rules. An SFT stage before it adds its curves."""
    settings, objective = env.objective_settings(request), request.objective
    lora, weights, reference = adapter_config(settings), None, None
    epochs, learning_rate = settings.epochs, settings.learning_rate
    if objective.two_stage:
        sft = load_sft_stage(env, request, workspace)
        _extend(curves, "sft", sft.curves)
        weights, reference = sft.policy.weights, sft.reference
        epochs, learning_rate = settings.po_epochs, settings.po_learning_rate
    else:  # for the curves, if not for the objective; trainings on one dataset share it
        reference = untrained_reference(env, request, workspace)
    source = env.source(workspace, settings.precision)
    content = {
        "training": request.key,
        "dataset": request.dataset.key,
        "objective": [request.objective_name, objective.model_dump(mode="json")],
        "settings": {**settings.model_dump(exclude=set(NOT_IN_KEY)), "precision": source.computed},
        "seed": request.seed,
    }
    return Stage(
        source=source,
        lora=lora,
        weights=weights,
        objective=objective,
        rows=rows,
        reference=reference,
        settings=settings,
        epochs=epochs,
        learning_rate=learning_rate,
        seed=request.seed,
        folder=workspace.cache / "checkpoints" / content_key(content),
    )


def _extend(curves: dict[str, list[Any]], stage: str, more: dict[str, list[float]]) -> None:
    """Appends the curves of a stage. What it has not measured is NaN: an SFT stage, say, makes the reference policy."""
    epochs = len(more["loss"])
    curves["stage"] += [stage] * epochs
    for name in _CURVES:
        curves[name] += more.get(name, [math.nan] * epochs)


def pair_logps(
    env: LanguageConfiguration, request: DatasetRequest, workspace: Workspace
) -> tuple[SequenceLogps, SequenceLogps]:
    """Log π of both completions of a dataset's pairs under the policy at the end of the SFT stage."""
    cloning = TrainingRequest(request, "", Cloning(), request.seed)
    logps = load_sft_stage(env, cloning, workspace).reference.numpy()
    lengths = np.array([[len(side) for side in row.completions] for row in env.rows(cloning, workspace)])
    return SequenceLogps(logps[:, 0], lengths[:, 0]), SequenceLogps(logps[:, 1], lengths[:, 1])
