"""Data-parallel training: two processes end where one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from llm_samples import random_rows
from peft import LoraConfig

import mpobench
from mpobench import DivergedError, RequestError
from mpobench_llm.models.base_model import ModelSource
from mpobench_llm.settings import TrainingSettings
from mpobench_llm.training import data_parallel, one_process
from mpobench_llm.training.stage import Stage


def stage(tiny: Path, folder: Path, objective: str = "orpo", count: int = 8, **settings) -> Stage:
    values = {
        "pairs_per_batch": 2,
        "accumulation": 2,
        "lora_dropout": 0.0,
        "precision": "float32",
        **settings,
    }
    lora = LoraConfig(r=2, lora_alpha=4, target_modules="all-linear", task_type="CAUSAL_LM")
    return Stage(
        source=ModelSource(str(tiny), "tiny", "float32"),
        lora=lora,
        weights=None,
        objective=mpobench.objective(objective),
        rows=random_rows(count),
        reference=torch.randn(count, 2, generator=torch.Generator().manual_seed(0)) - 20,
        settings=TrainingSettings(**values),
        epochs=2,
        learning_rate=1e-2,
        seed=3,
        folder=folder,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "count", "in_memory"),
    [
        ("orpo", 8, {}),
        ("orpo", 7, {}),  # a batch of one
        ("orpo", 5, {}),  # a process without any
        ("kto", 8, {"pairs_per_batch": 4, "accumulation": 1}),
        ("kto", 5, {"pairs_per_batch": 4, "accumulation": 1}),
        ("aot", 8, {"pairs_per_batch": 8, "accumulation": 1}),
    ],
)
def test_two_processes_end_where_one_does(
    tiny: Path, tmp_path: Path, objective: str, count: int, in_memory: dict[str, int]
) -> None:
    """No pair counts twice, and a loss that depends on its batch sees the same pairs as in one batch of one process."""
    size = {"pairs_per_batch": 2, "accumulation": 4} if objective == "aot" else {}
    alone, curves = one_process.carry_out(
        stage(tiny, tmp_path / "alone", objective, count, **in_memory), lambda fraction: None
    )
    reports: list[float] = []
    shared, others = data_parallel.carry_out(
        stage(tiny, tmp_path / "shared", objective, count, **size), 2, reports.append
    )
    assert alone.weights is not None
    assert shared.weights is not None
    assert alone.weights.keys() == shared.weights.keys()
    for name, value in alone.weights.items():
        torch.testing.assert_close(shared.weights[name], value, rtol=2e-3, atol=2e-4, msg=name)
    assert any(bool(value.abs().max() > 1e-3) for name, value in alone.weights.items() if "lora_B" in name)
    for quantity, values in curves.items():
        rough = quantity == "kl"  # rounding may decide a token of its samples
        assert others[quantity] == pytest.approx(values, rel=0.1 if rough else 1e-3, abs=1e-4), quantity
    assert reports[-1] == 1.0


@pytest.mark.slow
def test_divergence_in_a_process_is_divergence(tiny: Path, tmp_path: Path) -> None:
    wild = stage(tiny, tmp_path / "wild", schedule="constant", warmup=0.0)
    wild = Stage(**{**vars(wild), "learning_rate": 1e30})
    with pytest.raises(DivergedError, match="not finite"):
        data_parallel.carry_out(wild, 2, lambda fraction: None)


def test_batches_have_to_be_shared_out() -> None:
    assert data_parallel.process_count(TrainingSettings(accumulation=32, processes=4)) == 4
    with pytest.raises(RequestError, match="does not divide"):
        data_parallel.process_count(TrainingSettings(accumulation=32, processes=3))
