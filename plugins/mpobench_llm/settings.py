"""What a language environment's TOML says: how policies train, how much each scale spends, how answers are sampled.

Free of torch, so that planning a run stays fast.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal

from pydantic import Field

from mpobench.env_kit.env_file import EnvFile, Settings, resolve


class TrainingSettings(Settings):
    """The training of one policy. Defaults are the paper's §5 and Table 9.

    Attributes:
        epochs: of one-stage training.
        sft_epochs: of the first stage of two-stage training.
        po_epochs: of its second stage.
        learning_rate: AdamW's, in one-stage training and in the SFT stage.
        po_learning_rate: AdamW's in the second stage.
        schedule: of the learning rate over a stage.
        warmup: share of a stage's updates over which the learning rate rises from 0.
        pairs_per_batch: pairs in memory at once on each device.
        accumulation: batches per update; times ``pairs_per_batch``, the minibatch.
        max_grad_norm: gradients are scaled down to this global norm.
        lora_rank: of the adapter's matrices.
        lora_alpha: the adapter is scaled by alpha / rank.
        lora_dropout: probability of dropping an adapter's input.
        max_length: tokens of a prompt with either of its completions; what is longer is cut.
        precision: of the frozen weights and of products; ``auto`` takes bfloat16 where the device computes it. The
            adapter and its gradients are always float32.
        gradient_checkpointing: recomputes activations in the backward pass, which saves memory; ``auto`` does it on
            accelerators for models of more than a billion parameters.
        checkpoint_updates: updates between checkpoints; None keeps one an epoch.
        processes: of data-parallel training, each with its share of an update's batches; None is one per accelerator,
            where their number divides ``accumulation``.
    """

    epochs: int = Field(4, ge=1)
    sft_epochs: int = Field(3, ge=1)
    po_epochs: int = Field(1, ge=1)
    learning_rate: float = Field(5e-5, gt=0)
    po_learning_rate: float = Field(5e-7, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.1, ge=0, lt=1)
    pairs_per_batch: int = Field(2, ge=1)
    accumulation: int = Field(32, ge=1)
    max_grad_norm: float = Field(1.0, gt=0)
    lora_rank: int = Field(128, ge=1)
    lora_alpha: int = Field(256, ge=1)
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    max_length: int = Field(2048, ge=8)
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    gradient_checkpointing: Literal["auto", "on", "off"] = "auto"
    checkpoint_updates: int | None = Field(None, ge=1)
    processes: int | None = Field(None, ge=1)


UNKEYED = frozenset({"gradient_checkpointing", "checkpoint_updates", "processes"})
"""Settings that say how, not what, a training computes: they stay out of content keys."""


class DatasetSettings(Settings):
    """The preference dataset.

    Attributes:
        pairs: number of pairs (rows); None takes all that there are.
        block: answers sampled in one task; cuts the pool into files that workers make in parallel.
    """

    pairs: int | None = Field(None, ge=2)
    block: int = Field(64, ge=1)


class EvaluationSettings(Settings):
    """The score of one policy.

    Attributes:
        answers: to held-out instructions; beyond their number, each is answered again.
        pairs: held-out preference pairs.
        batch: answers sampled at once.
    """

    answers: int = Field(ge=1)
    pairs: int = Field(64, ge=1)
    batch: int = Field(64, ge=1)


class SamplingSettings(Settings):
    """How answers are sampled, for data and evaluation alike.

    Attributes:
        temperature: of the softmax.
        max_tokens: an answer that is longer is cut.
    """

    temperature: float = Field(0.7, ge=0)
    max_tokens: int = Field(ge=1)


class ScaleSettings(Settings):
    """What one scale spends."""

    dataset: DatasetSettings = DatasetSettings()
    evaluation: EvaluationSettings
    training: Mapping[str, Any] = {}


class EnvSettings(EnvFile):
    """A whole environment file.

    Attributes:
        sampling: of answers.
        scale: what each scale spends.
    """

    sampling: SamplingSettings
    scale: dict[str, ScaleSettings]


@functools.cache
def load_toml(file: str) -> dict[str, Any]:
    """Reads one of the plugin's own TOML files."""
    return tomllib.loads(resources.files("mpobench_llm").joinpath(file).read_text("utf-8"))


def resolve_training(
    settings: EnvSettings, scale: str, objective: str, overrides: Mapping[str, Any]
) -> TrainingSettings:
    """The training configuration: environment's, scale's, objective's defaults, then the user's.

    Raises:
        RequestError: for an override that is unknown or out of range.
    """
    layers = settings.training_layers(settings.scale[scale].training, objective, overrides)
    return resolve(TrainingSettings, "training", layers)
