"""Mixtures of experts at the defaults: training, adapters on the experts, answers, and files that peft reads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_samples import dpo_mix
from llm_samples import all_plain_logps, random_rows
from model_families import small_config
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

import mpobench
from mpobench import DatasetRequest, TrainingRequest, Workspace
from mpobench.files.keys import content_key
from mpobench_llm.envs.hub_env import AnyModel
from mpobench_llm.generation.sampling import sample
from mpobench_llm.models.adapters import acting, merged
from mpobench_llm.models.base_model import ModelSource, load_base
from mpobench_llm.models.head import headless
from mpobench_llm.models.logps import all_logps
from mpobench_llm.models.policy import Policy
from mpobench_llm.settings import TrainingSettings
from mpobench_llm.training.one_process import carry_out
from mpobench_llm.training.stage import Stage, adapter_config

FAMILIES = ["mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "gpt_oss", "granitemoe"]


def mixture(family: str, folder: Path) -> Path:
    """The folder of a small random mixture."""
    torch.manual_seed(0)
    config = small_config(CONFIG_MAPPING[family], {"vocab_size": 400, "max_position_embeddings": 2048})
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_the_adapter_reaches_the_experts(family, tiny, tmp_path):
    folder = mixture(family, tmp_path / "model")
    for file in tiny.glob("tokenizer*"):
        shutil.copy(file, folder)
    source, rows = ModelSource(str(folder), str(folder), "float32"), random_rows(8)
    settings = TrainingSettings(accumulation=2, lora_rank=2, lora_alpha=4, precision="float32")
    stage = Stage(
        source, adapter_config(settings, settings.lora_dropout), None, mpobench.objective("orpo"), rows, None,
        settings, 2, 1e-2, 0, tmp_path / "checkpoints",
    )  # fmt: skip
    policy, curves = carry_out(stage, lambda fraction: None)
    assert curves["loss"][-1] < curves["loss"][0]
    assert policy.weights is not None
    experts = {name: value for name, value in policy.weights.items() if "expert" in name or "_linear" in name}
    moved = [name for name, value in experts.items() if "lora_B" in name and value.any()]
    assert len(moved) >= 2
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    policy.save(adapter)
    plain = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        untrained = all_plain_logps(plain, rows)
        expected = all_plain_logps(PeftModel.from_pretrained(plain, adapter).eval(), rows)
    assert (expected - untrained).abs().max() > 0.01
    model, _ = load_base(source)
    for each in (policy, Policy.load(adapter)):
        with acting(model, each) as actor, headless(model) as head:
            found = all_logps(actor, head, rows, 8)
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-3)
    generates(model, policy)


def generates(model: Any, policy: Policy) -> None:
    """The same answers with the adapter apart and added to the weights, which come back."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    prompts = [row.prompt for row in random_rows(3)]
    answers = []
    for way in (acting, merged):
        with way(model, policy) as actor:
            answers.append(
                sample(actor, prompts, [[0], [1], [2]], ends={1}, max_tokens=6, temperature=0.0, batch=3)
            )
    assert answers[0] == answers[1]
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.slow
def test_a_mixture_trains_and_answers_at_the_defaults(tiny, tmp_path, monkeypatch):
    """By the environment, in two stages, from a file of pairs to answers of a policy that was saved."""
    from datasets import config

    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "arrow")
    folder = mixture("mixtral", tmp_path / "model")
    for file in tiny.glob("tokenizer*"):
        shutil.copy(file, folder)
    env = AnyModel(model=str(folder), dataset=str(dpo_mix(tmp_path / "pairs")))
    workspace = Workspace(tmp_path / "cache")
    noise = mpobench.registry.registry.get_registry().build("corruption", "base").component
    dataset = DatasetRequest(noise, 0, "smoke", content_key(["dpo-mix"]))
    request = TrainingRequest(dataset, "dpo", mpobench.objective("dpo"), 0, {})
    for prerequisite in env.prerequisites(request):
        env.prepare(prerequisite.payload, workspace)
    trained = env.train(request, workspace)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    env.save_policy(trained.policy, adapter)
    answers = env.answers(env.load_policy(adapter), 0, "smoke", workspace, ["Hello?"])
    assert [answer.instruction for answer in answers] == ["Hello?"]
