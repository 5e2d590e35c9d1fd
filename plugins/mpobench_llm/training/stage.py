"""The description of one stage of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpobench import Objective
from mpobench_llm.models.base_model import ModelSource
from mpobench_llm.models.tokens import Row
from mpobench_llm.settings import TrainingSettings

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig


@dataclass(frozen=True)
class Stage:
    """A stage of a training. It pickles, so that other processes can carry it out.

    Attributes:
        source: Place of the base model.
        lora: Shape of the adapter.
        weights: Initial weights of the adapter; None for fresh ones.
        objective: Loss.
        rows: Training data.
        reference: Log-probabilities under the reference policy, ``(pairs, 2)``, or None.
        settings: Training settings.
        epochs: Number of epochs over the rows.
        learning_rate: Highest learning rate.
        seed: Seed of fresh weights, order and dropout.
        folder: Folder of the checkpoints.
    """

    source: ModelSource
    lora: LoraConfig
    weights: Mapping[str, torch.Tensor] | None
    objective: Objective
    rows: Sequence[Row]
    reference: torch.Tensor | None
    settings: TrainingSettings
    epochs: int
    learning_rate: float
    seed: int
    folder: Path


def adapter_config(settings: TrainingSettings, dropout: float = 0.0) -> LoraConfig:
    """The adapter of a training: LoRA on every linear layer but the head (Hu et al. 2021, arXiv:2106.09685).

    Args:
        settings: Training settings.
        dropout: Probability of dropping an adapter's input.
    """
    from peft import LoraConfig

    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
