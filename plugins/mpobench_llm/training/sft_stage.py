"""References of a training: the SFT stage, or the untrained model where no SFT stage comes first.

Machines that share a cache may compute in different precisions (``auto``). A policy and its reference have to begin as
one function, so a reference is read only where it was computed as the policy is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mpobench import TrainingRequest, Workspace
from mpobench.files import locks
from mpobench.files.atomic import file_atomically, folder_atomically
from mpobench_llm.configuration import LanguageConfiguration
from mpobench_llm.models.adapters import acting
from mpobench_llm.models.base_model import ModelSource, load_base
from mpobench_llm.models.head import headless
from mpobench_llm.models.logps import all_logps
from mpobench_llm.models.policy import Policy
from mpobench_llm.models.tokens import Row
from mpobench_llm.training import resumable
from mpobench_llm.training.cloning import Cloning
from mpobench_llm.training.stage import Stage, adapter_config

REFERENCE, CURVES = "reference.safetensors", "curves.json"
"""Files of an SFT stage, beside its adapter."""


@dataclass(frozen=True)
class SftStage:
    """The end of an SFT stage.

    Attributes:
        policy: Reference policy.
        reference: Its log-probabilities of both completions of all pairs, in nats, ``(pairs, 2)``.
        curves: Curves of the stage, which reads no rejected completion.
    """

    policy: Policy
    reference: torch.Tensor
    curves: dict[str, list[float]]


def load_sft_stage(env: LanguageConfiguration, request: TrainingRequest, workspace: Workspace) -> SftStage:
    """The SFT stage that all two-stage objectives of a (dataset, seed) share: cached, or made and kept."""
    folder = make_sft_stage(env, request, workspace)
    curves = json.loads((folder / CURVES).read_bytes())
    return SftStage(Policy.load(folder), load_file(folder / REFERENCE)["logps"], curves)


def make_sft_stage(env: LanguageConfiguration, request: TrainingRequest, workspace: Workspace) -> Path:
    """Makes the folder of an SFT stage, unless it is there. One of another precision gets a second folder beside it.

    Returns:
        The folder, with the adapter in peft's format, :data:`REFERENCE` and :data:`CURVES`.

    Raises:
        DivergedError: When the loss or the weights leave the finite numbers.
    """
    settings = env.training_settings(request)
    source = env.source(workspace, settings.precision)
    shared = workspace.cache / env.sft_path(request)
    own = shared.with_name(f"{shared.name}-{source.computed}")
    locks.once(shared, lambda: _clone(env, request, workspace, source, shared))
    if _precision(shared / REFERENCE) == source.computed:
        return shared
    locks.once(own, lambda: _clone(env, request, workspace, source, own))
    return own


def _precision(file: Path) -> str | None:
    """The precision in which a file of log-probabilities was computed, if it says so."""
    with safe_open(file, "pt") as content:
        return (content.metadata() or {}).get("precision")


def _clone(
    env: LanguageConfiguration,
    request: TrainingRequest,
    workspace: Workspace,
    source: ModelSource,
    folder: Path,
) -> None:
    settings, rows = env.training_settings(request), env.rows(request, workspace)
    stage = Stage(
        source=source,
        lora=adapter_config(settings, settings.lora_dropout),
        weights=None,
        objective=Cloning(),
        rows=[Row(row.prompt, row.completions[:1], row.index) for row in rows],
        reference=None,
        settings=settings,
        epochs=settings.sft_epochs,
        learning_rate=settings.learning_rate,
        seed=request.seed,
        folder=workspace.cache / "checkpoints" / f"{env.sft_key(request)}-{source.computed}",
    )
    policy, curves = resumable.carry_out(stage, workspace, "SFT stages")
    reference = _logps(source, policy, rows, settings.pairs_per_batch)
    with folder_atomically(folder) as temporary:
        policy.save(temporary)
        save_file({"logps": reference}, temporary / REFERENCE, {"precision": source.computed})
        (temporary / CURVES).write_text(json.dumps(curves))


def untrained_reference(
    env: LanguageConfiguration, request: TrainingRequest, workspace: Workspace
) -> torch.Tensor:
    """Log π of all pairs under the untrained model, in nats, ``(pairs, 2)``: cached, or made and kept."""
    settings = env.training_settings(request)
    source = env.source(workspace, settings.precision)
    file = workspace.cache / env.reference_path(request, source.computed)

    def make() -> None:
        logps = _logps(source, Policy(), env.rows(request, workspace), settings.pairs_per_batch)
        with file_atomically(file) as temporary:
            save_file({"logps": logps}, temporary)

    locks.once(file, make)
    return load_file(file)["logps"]


def _logps(source: ModelSource, policy: Policy, rows: list[Row], batch: int) -> torch.Tensor:
    model, _ = load_base(source)
    with acting(model, policy) as actor, headless(model) as head:
        return all_logps(actor, head, rows, batch)
