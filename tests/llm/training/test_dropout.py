"""Dropout: at the first update policy and reference are one function, whatever the model or the adapter drops."""

from __future__ import annotations

import shutil
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
from llm_samples import random_rows
from transformers import AutoModelForCausalLM, GPT2Config, OPTConfig

import mpobench
from mpobench_llm.models.base_model import ModelSource, load_base
from mpobench_llm.models.head import headless
from mpobench_llm.models.logps import all_logps
from mpobench_llm.settings import TrainingSettings
from mpobench_llm.training.cloning import Cloning
from mpobench_llm.training.one_process import carry_out
from mpobench_llm.training.stage import Stage, adapter_config

ROWS = random_rows(8)
SETTINGS = TrainingSettings(
    accumulation=4,
    lora_rank=2,
    lora_alpha=4,
    lora_dropout=0.5,
    precision="float32",
    schedule="constant",
    warmup=0,
)
CONFIGS: dict[str, Any] = {
    "gpt2": GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=128, initializer_range=0.3),
    "opt": OPTConfig(hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=2, word_embed_proj_dim=32,
                     max_position_embeddings=128, dropout=0.2, attention_dropout=0.2, layerdrop=0.5, init_std=0.3),
}  # fmt: skip


@pytest.fixture(params=sorted(CONFIGS))
def dropping(request, tiny, tmp_path) -> Path:
    """The folder of a model that drops activations, weights of attention, and layers."""
    config = CONFIGS[request.param]
    config.vocab_size, config.bos_token_id, config.eos_token_id, config.pad_token_id = 400, 0, 1, 1
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    for file in tiny.glob("tokenizer*"):
        shutil.copy(file, tmp_path / "model")
    return tmp_path / "model"


def first_loss(folder: Path, tmp_path: Path, **settings: Any) -> float:
    """DPO's loss before the only update."""
    source, settings = ModelSource(str(folder), "model", "float32"), SETTINGS.model_copy(update=settings)
    model, _ = load_base(source)
    with headless(model) as head:
        reference = all_logps(model, head, ROWS, 3)
    stage = Stage(
        source, adapter_config(settings), None, mpobench.objective("dpo"), ROWS, reference, settings, 1, 1e-2, 0,
        tmp_path / "checkpoints",
    )  # fmt: skip
    return carry_out(stage, lambda fraction: None)[1]["loss"][0]


@pytest.mark.parametrize("recompute", ["off", "on"])
def test_the_first_loss_of_dpo_is_that_of_equal_functions(dropping, tmp_path, recompute):
    assert first_loss(dropping, tmp_path, gradient_checkpointing=recompute) == pytest.approx(log(2), abs=1e-6)


def test_the_sft_stage_drops_the_inputs_of_adapters(tiny, tmp_path):
    """And nothing else does: its weights depend on the probability, and are the same each time."""
    weights = []
    for number, dropout in enumerate((0.5, 0.5, 0.0)):
        stage = Stage(
            ModelSource(str(tiny), "tiny", "float32"), adapter_config(SETTINGS, dropout), None, Cloning(), ROWS, None,
            SETTINGS, 2, 1e-2, 0, tmp_path / str(number),
        )  # fmt: skip
        weights.append(carry_out(stage, lambda fraction: None)[0].weights)
    first, again, without = weights
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not all(torch.equal(value, without[name]) for name, value in first.items())
