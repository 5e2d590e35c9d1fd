"""Trainings of the tiny model: by the trainer alone, and through the environment ``llm``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from llm_samples import tiny_base
from transformers import AutoModelForCausalLM

import mpobench
from mpobench import DatasetRequest, Objective, TrainingRequest
from mpobench.files.keys import content_key
from mpobench_llm.models.adapters import adapted
from mpobench_llm.models.base_model import ModelSource
from mpobench_llm.models.head import headless
from mpobench_llm.models.policy import Policy
from mpobench_llm.models.tokens import Row
from mpobench_llm.settings import TrainingSettings
from mpobench_llm.training.one_process import fit
from mpobench_llm.training.stage import Stage, adapter_config

SETTINGS = TrainingSettings(
    pairs_per_batch=2,
    accumulation=2,
    lora_rank=2,
    lora_alpha=4,
    lora_dropout=0.0,
    schedule="constant",
    warmup=0,
    max_grad_norm=1e9,
    precision="float32",
)
UPDATE = 4
"""Pairs in one."""

PAIRS = 8
"""Of the smallest scale."""

Weights = dict[str, torch.Tensor]


def plain(tiny: Path) -> Any:
    """The model as transformers alone loads it."""
    return AutoModelForCausalLM.from_pretrained(tiny).eval()


@contextmanager
def adapter(tiny: Path, settings: TrainingSettings = SETTINGS, seed: int = 0) -> Iterator[tuple[Any, Any]]:
    """The tiny model with an adapter that already does something, and without its head: (model, head)."""
    model, _ = tiny_base(tiny)
    torch.manual_seed(seed)
    lora = adapter_config(settings, settings.lora_dropout)
    lora.init_lora_weights = False
    with adapted(model, lora, None) as wrapped, headless(model) as head:
        yield wrapped, head


def weights(wrapped: Any) -> Weights:
    return {name: each.detach().clone() for name, each in wrapped.named_parameters() if each.requires_grad}


def run(
    tiny: Path,
    folder: Path,
    objective: Objective,
    rows: list[Row],
    *,
    reference: torch.Tensor | None = None,
    settings: TrainingSettings = SETTINGS,
    epochs: int = 1,
    learning_rate: float = 1e-3,
    seed: int = 0,
    start: int = 0,
    report: Any = lambda fraction: None,
) -> tuple[Weights, Weights, dict[str, list[float]]]:
    """A training; returns the adapter before and after it, and its curves."""
    with adapter(tiny, settings, start) as (wrapped, head):
        before = weights(wrapped)
        stage = Stage(
            ModelSource(str(tiny), "tiny", "float32"), adapter_config(settings), None, objective, rows, reference,
            settings, epochs, learning_rate, seed, folder,
        )  # fmt: skip
        curves = fit(wrapped, head, stage, report)
        return before, weights(wrapped), curves


class StopError(Exception):
    """A power cut."""


def stopping_at(share: float) -> Any:
    def report(phase: str, fraction: float) -> None:
        if fraction >= share:
            raise StopError

    return report


# Through the environment


OVERRIDES = {"precision": "float32", "learning_rate": 5e-3, "po_learning_rate": 1e-3, "sft_epochs": 2}


def request(
    objective: str | Objective, corruption: str = "base", seed: int = 0, **overrides: Any
) -> TrainingRequest:
    noise = mpobench.registry.registry.get_registry().build("corruption", corruption).component
    dataset = DatasetRequest(noise, seed, "smoke", content_key(["dpo-mix", corruption, seed]))
    if isinstance(objective, str):
        objective = mpobench.objective(objective)
    return TrainingRequest(dataset, type(objective).__name__, objective, seed, {**OVERRIDES, **overrides})


def same(one: Policy, other: Policy) -> bool:
    assert one.weights is not None
    assert other.weights is not None
    assert one.weights.keys() == other.weights.keys()
    return all(torch.equal(value, other.weights[name]) for name, value in one.weights.items())
