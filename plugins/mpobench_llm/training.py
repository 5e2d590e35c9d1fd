"""Training one policy on one dataset: the paper's protocol (§5, Table 9), in one stage or two."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from mpobench import (
    DatasetRequest,
    DivergedError,
    Objective,
    SequenceLogps,
    Trained,
    TrainingRequest,
    Workspace,
)
from mpobench.files import locks
from mpobench.files.keys import content_key
from mpobench_llm import models, one_stage, processes, trainer
from mpobench_llm.logps import headless
from mpobench_llm.models import Policy
from mpobench_llm.one_stage import Stage
from mpobench_llm.settings import UNKEYED, TrainingSettings
from mpobench_llm.stages import sft_payload
from mpobench_llm.tokens import Row

if TYPE_CHECKING:
    from peft import LoraConfig

    from mpobench_llm.env import LanguageEnv

REFERENCE, CURVES = "reference.safetensors", "curves.json"


def adapter_config(settings: TrainingSettings) -> LoraConfig:
    """The adapter of a training: LoRA on every linear layer but the head (Hu et al. 2021, arXiv:2106.09685)."""
    from peft import LoraConfig

    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def train(env: LanguageEnv, request: TrainingRequest, workspace: Workspace) -> Trained:
    """Trains a policy.

    Raises:
        DivergedError: when the loss or the weights leave the finite numbers.
    """
    began = time.perf_counter()
    settings = env.training_settings(request)
    rows = env.rows(request, workspace)
    curves: dict[str, list[Any]] = {"stage": [], **{name: [] for name in trainer.QUANTITIES}}
    start: Policy | None = None
    reference_file: Path | None = None
    if request.objective.two_stage:
        sft = sft_stage(env, request, workspace)
        start = Policy.load(sft)
        _extend(curves, "sft", json.loads((sft / CURVES).read_bytes()))
        reference_file = sft / REFERENCE
        epochs, rate = settings.po_epochs, settings.po_learning_rate
    else:
        reference_file = (
            base_reference(env, request, workspace) if request.objective.needs_reference else None
        )
        epochs, rate = settings.epochs, settings.learning_rate
    loaded = time.perf_counter()
    reference = load_file(reference_file)["logps"] if reference_file else None
    work = {
        "training": request.key,
        "dataset": request.dataset.key,
        "objective": [request.objective_name, request.objective.model_dump(mode="json")],
        "settings": settings.model_dump(exclude=set(UNKEYED)),
        "seed": request.seed,
    }
    policy, found = _run(
        env, request, workspace, "training", work, request.objective, rows, reference, start, epochs, rate
    )
    _extend(curves, "po", found)
    seconds = {"load": loaded - began, "train": time.perf_counter() - loaded}
    return Trained(policy, curves, seconds)


def _extend(curves: dict[str, list[Any]], stage: str, more: dict[str, list[float]]) -> None:
    curves["stage"] += [stage] * len(more["loss"])
    for name in trainer.QUANTITIES:
        curves[name] += more[name]


def _run(
    env: LanguageEnv,
    request: TrainingRequest,
    workspace: Workspace,
    phase: str,
    work: object,
    objective: Objective,
    rows: list[Row],
    reference: torch.Tensor | None,
    start: Policy | None,
    epochs: int,
    rate: float,
) -> tuple[Policy, dict[str, list[float]]]:
    """One stage, from a policy or a fresh adapter; what a stop leaves is found again by its content."""
    settings = env.training_settings(request)
    folder = workspace.cache / "checkpoints" / content_key(work)
    stage = Stage(
        source=env.source(workspace, settings.precision),
        lora=start.lora if start and start.lora else adapter_config(settings),
        weights=start.weights if start else None,
        objective=objective,
        rows=rows,
        reference=reference,
        settings=settings,
        epochs=epochs,
        learning_rate=rate,
        seed=request.seed,
        folder=folder,
    )
    count = processes.wanted(settings)

    def report(fraction: float) -> None:
        workspace.report(phase, fraction)

    with locks.lock(folder), _swept(folder):
        made = processes.carry_out(stage, count, report) if count > 1 else one_stage.carry_out(stage, report)
        shutil.rmtree(folder, ignore_errors=True)
    return made


@contextmanager
def _swept(folder: Path) -> Iterator[None]:
    """Leaves no checkpoints of a training that diverged: it would diverge again."""
    try:
        yield
    except DivergedError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def sft_stage(env: LanguageEnv, request: TrainingRequest, workspace: Workspace) -> Path:
    """The SFT stage that all two-stage objectives of a (dataset, seed) share: cached, or made and kept.

    Returns:
        a folder with the adapter, :data:`REFERENCE`, log π_ref of both completions of all pairs, ``(pairs, 2)``,
        and :data:`CURVES`.
    """
    folder = workspace.cache / "sft" / content_key(sft_payload(env, request))
    locks.once(folder, lambda: _clone(env, request, workspace, folder))
    return folder


def _clone(env: LanguageEnv, request: TrainingRequest, workspace: Workspace, folder: Path) -> None:
    settings, rows = env.training_settings(request), env.rows(request, workspace)
    chosen = [Row(row.prompt, row.completions[:1], row.index) for row in rows]
    phase = "SFT stages"
    policy, curves = _run(
        env,
        request,
        workspace,
        phase,
        sft_payload(env, request),
        trainer.Cloning(),
        chosen,
        None,
        None,
        settings.sft_epochs,
        settings.learning_rate,
    )
    curves |= {name: [float("nan")] * settings.sft_epochs for name in ("margin", "accuracy", "logp_rejected")}
    logps = _logps(env, request, workspace, policy, rows)
    temporary = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        policy.save(temporary)
        save_file({"logps": logps}, temporary / REFERENCE)
        (temporary / CURVES).write_text(json.dumps(curves), encoding="utf-8")
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def base_reference(env: LanguageEnv, request: TrainingRequest, workspace: Workspace) -> Path:
    """A file with log π of all pairs under the untrained model: the reference where no SFT stage comes first."""
    settings = env.training_settings(request)
    work = [request.dataset.key, settings.max_length, settings.precision]
    file = workspace.cache / "reference" / f"{content_key(work)}.safetensors"

    def make() -> None:
        logps = _logps(env, request, workspace, Policy(), env.rows(request, workspace))
        temporary = file.with_suffix(f".{secrets.token_hex(4)}")
        save_file({"logps": logps}, temporary)
        temporary.replace(file)

    locks.once(file, make)
    return file


def _logps(
    env: LanguageEnv, request: TrainingRequest, workspace: Workspace, policy: Policy, rows: list[Row]
) -> torch.Tensor:
    settings = env.training_settings(request)
    model, _ = models.base(env.source(workspace, settings.precision))
    with models.acting(model, policy) as speaker, headless(model) as head:
        return trainer.all_logps(speaker, head, rows, settings.pairs_per_batch)


def pair_logps(
    env: LanguageEnv, request: DatasetRequest, workspace: Workspace
) -> tuple[SequenceLogps, SequenceLogps]:
    """Log π of both completions of a dataset's pairs under the policy at the end of the SFT stage."""
    wanted = TrainingRequest(request, "", trainer.Cloning(), request.seed)
    logps = load_file(sft_stage(env, wanted, workspace) / REFERENCE)["logps"].numpy()
    lengths = np.array([[len(side) for side in row.completions] for row in env.rows(wanted, workspace)])
    return SequenceLogps(logps[:, 0], lengths[:, 0]), SequenceLogps(logps[:, 1], lengths[:, 1])
