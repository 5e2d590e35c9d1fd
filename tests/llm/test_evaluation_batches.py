"""How much of an evaluation is in memory at once: a setting, which decides no result and is in no key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hub_samples import dpo_mix

from mpobench import Workspace
from mpobench_llm.envs.hub_env import AnyModel
from mpobench_llm.envs.smollm_style import rollouts
from mpobench_llm.envs.smollm_style.env import SmolLMStyle
from mpobench_llm.evaluators.preference_accuracy import PreferenceAccuracy
from mpobench_llm.evaluators.style_reward import StyleReward
from mpobench_llm.generation.answering import Sampled
from mpobench_llm.models import logps
from mpobench_llm.models.policy import Policy
from mpobench_llm.settings import EvaluationSettings


def set_batches(monkeypatch: pytest.MonkeyPatch, env: Any, size: int) -> None:
    settings = EvaluationSettings(answers=5, pairs=5, batch=2, pairs_per_batch=size, answers_per_batch=size)
    monkeypatch.setattr(type(env), "evaluation_settings", lambda self, scale: settings)


def test_of_held_out_pairs(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env, seen = AnyModel(model=str(tiny), dataset=str(dpo_mix(tmp_path / "data"))), []
    computed = logps.all_logps

    def all_logps(model: Any, head: Any, rows: Any, batch: int, *rest: Any) -> torch.Tensor:
        seen.append(batch)
        return computed(model, head, rows, batch, *rest)

    monkeypatch.setattr(logps, "all_logps", all_logps)
    scores, configs = [], []
    for size in (1, 3):
        set_batches(monkeypatch, env, size)
        configs.append(PreferenceAccuracy().config(env, "smoke"))
        scores.append(PreferenceAccuracy().evaluate(env, Policy(), 0, "smoke", Workspace(tmp_path / "cache")))
    assert seen == [1, 3]
    assert configs[0] == configs[1] == {"pairs": 5}
    assert scores[0] == pytest.approx(scores[1], abs=0.05)


def test_of_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env, seen = SmolLMStyle(), []

    def sample_answers(*args: Any) -> list[Sampled]:
        seen.append(("sampled", args[5]))
        return [Sampled((1, 2), "it is.")] * len(args[2])

    def mean_logps(source: Any, conversations: Any, sampled: Any, batch: int) -> list[float]:
        seen.append(("scored", batch))
        return [-1.0] * len(sampled)

    monkeypatch.setattr(rollouts, "sample_answers", sample_answers)
    monkeypatch.setattr(rollouts, "_mean_logps", mean_logps)
    monkeypatch.setattr(SmolLMStyle, "source", lambda self, workspace: rollouts.ModelSource("a", "b"))
    set_batches(monkeypatch, env, 3)
    assert len(rollouts.evaluation_rollouts(env, Policy(), 0, "smoke", Workspace(tmp_path))) == 5
    assert seen == [("sampled", 2), ("scored", 3)]
    assert "answers_per_batch" not in StyleReward().config(env, "smoke")
