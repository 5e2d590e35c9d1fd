"""The baseline's answers: those that its model would give, sampled once for all cells that compare with the same."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from hub_samples import dpo_mix
from judge_samples import QUESTIONS, FixedAnswers

from mpobench import Workspace
from mpobench_llm.envs.hub_env import AnyModel
from mpobench_llm.generation.answer import Answer
from mpobench_llm.judge.baseline import baseline_answers
from mpobench_llm.settings import SamplingSettings


class Drawn(FixedAnswers):
    """Its answers tell all that decides them, and take a moment."""

    voice: str = "low"
    sampled: ClassVar[list[int]] = []
    temperature: float = 0.5
    words: int = 1

    @property
    def settings(self):
        sampling = SamplingSettings(max_tokens=8, temperature=self.temperature)
        return super().settings.model_copy(update={"sampling": sampling})

    def dataset_config(self, scale):
        return {"model": self.words}

    def original(self):
        return "original"

    def answers(self, policy, seed, scale, workspace, instructions=None):
        time.sleep(0.1)
        self.sampled.append(seed)
        told = f"{policy} {seed} {self.voice} {self.temperature} {self.words}"
        return [Answer(text, f"{told} {i} of {len(instructions)}") for i, text in enumerate(instructions)]


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "cache")


def test_a_models_answers_are_sampled_once_and_equal(tiny, tmp_path, workspace, monkeypatch):
    env = AnyModel(model=str(tiny), dataset=str(dpo_mix(tmp_path / "data")))
    asked = ["Say it.", "And again?", "Say it."]
    expected = env.answers(env.original(), 3, "smoke", workspace, asked)
    assert expected[0] != expected[2], "an instruction that is repeated is answered anew"
    assert baseline_answers("original", env, 3, "smoke", workspace, asked) == expected
    monkeypatch.setattr(AnyModel, "answers", None)
    assert baseline_answers("original", env, 3, "smoke", workspace, asked) == expected


def test_all_that_decides_them_is_in_their_key(tmp_path, workspace):
    policies = [tmp_path / name for name in ("first", "second")]
    for policy in policies:
        policy.mkdir()
        Drawn().save_policy(policy.name, policy)
        (policy / "training.json").write_text("{}")
    requests = [
        ("original", Drawn(), 0, QUESTIONS),
        ("original", Drawn(), 1, QUESTIONS),
        ("original", Drawn(), 0, QUESTIONS[:3]),
        ("original", Drawn(), 0, QUESTIONS[::-1]),
        *(("original", Drawn(**{name: value}), 0, QUESTIONS) for name, value in
          {"voice": "high", "temperature": 0.7, "words": 2}.items()),
        *((str(policy), Drawn(), 0, QUESTIONS) for policy in policies),
    ]  # fmt: skip
    for _ in range(2):
        for baseline, env, seed, asked in requests:
            policy = env.original() if baseline == "original" else env.load_policy(tmp_path / baseline)
            expected = env.answers(policy, seed, "smoke", workspace, asked)
            assert baseline_answers(baseline, env, seed, "smoke", workspace, asked) == expected
    assert len(list((workspace.cache / "baselines").glob("*.json"))) == len(requests)


def test_workers_wait_for_the_first(workspace):
    env = Drawn()
    env.sampled.clear()
    with ThreadPoolExecutor(4) as workers:
        found = [
            workers.submit(baseline_answers, "original", env, 0, "smoke", workspace, QUESTIONS)
            for _ in range(4)
        ]
    assert env.sampled == [0]
    assert all(each.result() == found[0].result() for each in found)
