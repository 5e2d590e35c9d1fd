"""KL to the reference policy on the policy's own answers, against all logits of models as transformers loads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from llm_samples import random_rows, tiny_base
from peft import LoraConfig, get_peft_model_state_dict
from torch.nn.functional import kl_div

import mpobench
from mpobench_llm.models.adapters import acting, adapted
from mpobench_llm.models.base_model import ModelSource
from mpobench_llm.models.head import headless
from mpobench_llm.models.policy import Policy
from mpobench_llm.settings import TrainingSettings
from mpobench_llm.training import kl_curve
from mpobench_llm.training.stage import Stage

LORA = LoraConfig(r=2, lora_alpha=4, target_modules="all-linear", task_type="CAUSAL_LM")
SETTINGS = TrainingSettings(kl_answers=3, kl_tokens=6, precision="float32")


def stage_of(tiny: Path, weights: Any, settings: TrainingSettings = SETTINGS) -> Stage:
    return Stage(
        ModelSource(str(tiny), "tiny", "float32"), LORA, weights, mpobench.objective("dpo"), random_rows(5), None,
        settings, 1, 1e-3, 7, Path(),
    )  # fmt: skip


def random_adapter(tiny: Path, seed: int) -> dict[str, torch.Tensor]:
    model, _ = tiny_base(tiny)
    with adapted(model, LORA, None) as wrapped:
        torch.manual_seed(seed)
        state = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
        return {name: torch.randn_like(value) for name, value in state.items()}


def all_logps(tiny: Path, policy: Policy, prompt: Any, answer: Any) -> torch.Tensor:
    model, _ = tiny_base(tiny)
    with acting(model, policy) as actor, torch.no_grad():
        logits = actor(input_ids=torch.tensor([[*prompt, *answer]])).logits[0].double()
    return logits[len(prompt) - 1 : -1].log_softmax(-1)


@pytest.mark.parametrize("second_stage", [False, True])
def test_it_is_the_mean_over_the_tokens_of_sampled_answers(tiny, monkeypatch, second_stage):
    now, start = random_adapter(tiny, 0), random_adapter(tiny, 1)
    stage, drawn = stage_of(tiny, start if second_stage else None), []

    def sample(*args: Any, **options: Any) -> Any:
        drawn.append((args[1], sampled(*args, **options), options))
        return drawn[-1][1]

    sampled = kl_curve.sample
    monkeypatch.setattr(kl_curve, "sample", sample)
    model, _ = tiny_base(tiny)
    with adapted(model, LORA, now) as wrapped, headless(model) as head:
        wrapped.train()
        found = kl_curve.kl_to_reference(wrapped, head, stage, 1)
        assert found == kl_curve.kl_to_reference(wrapped, head, stage, 1)
        other = kl_curve.kl_to_reference(wrapped, head, stage, 2)
        assert other != found, "other answers"
        assert wrapped.training
        assert not isinstance(model.get_output_embeddings(), torch.nn.Linear)
        for name, value in get_peft_model_state_dict(wrapped, save_embedding_layers=False).items():
            assert torch.equal(value, now[name])
    prompts, answers, options = drawn[0]
    assert prompts == [row.prompt for row in stage.rows[:3]]
    assert options["temperature"] == 1
    assert all(1 <= len(answer) <= 6 for answer in answers)
    reference = Policy(LORA, start) if second_stage else Policy()
    each = [
        kl_div(
            all_logps(tiny, reference, *pair),
            all_logps(tiny, Policy(LORA, now), *pair),
            reduction="none",
            log_target=True,
        ).sum(-1)
        for pair in zip(prompts, answers, strict=True)
    ]
    assert found == pytest.approx(float(torch.cat(each).mean()), rel=1e-4)
    assert found > 1e-3


def test_at_the_beginning_it_is_nothing(tiny):
    start = random_adapter(tiny, 2)
    model, _ = tiny_base(tiny)
    for weights in (None, start):
        with adapted(model, LORA, weights) as wrapped, headless(model) as head:
            assert kl_curve.kl_to_reference(wrapped, head, stage_of(tiny, weights), 1) == pytest.approx(
                0, abs=1e-6
            )


def test_random_numbers_of_the_training_are_left_alone(tiny):
    model, _ = tiny_base(tiny)
    torch.manual_seed(3)
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    with adapted(model, LORA, random_adapter(tiny, 4)) as wrapped, headless(model) as head:
        torch.set_rng_state(before)
        kl_curve.kl_to_reference(wrapped, head, stage_of(tiny, None), 1)
        assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpys).all()
