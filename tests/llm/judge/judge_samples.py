"""A language environment whose models say fixed texts, and judges over it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from mpobench import Trained
from mpobench.env_kit.env_file import ScaleSettings
from mpobench_llm.envs.language_env import LanguageEnv
from mpobench_llm.generation.answer import Answer
from mpobench_llm.judge.evaluator import Judge
from mpobench_llm.settings import DatasetSettings, EnvSettings, EvaluationSettings, SamplingSettings

QUESTIONS = [f"What is {n} plus {n}?" for n in range(1, 7)]

TEMPLATE = "{instruction}|{output_1}|{output_2}"
"""What a scripted judge can take apart."""


class FixedAnswers(LanguageEnv):
    """Its policies are dictionaries from instructions to answers, or one answer to all."""

    default_evaluators = ("tested-judge",)
    libraries = ()

    @property
    def settings(self):
        evaluation = EvaluationSettings(answers=len(QUESTIONS))
        return EnvSettings(
            sampling=SamplingSettings(max_tokens=8),
            scale={"smoke": ScaleSettings(dataset=DatasetSettings(), evaluation=evaluation)},
        )

    def source(self, workspace, precision="auto"):
        return SimpleNamespace(computed="float32")  # all that is asked of it

    def data_prerequisites(self, request):
        return []

    def prepare_data(self, payload, workspace):
        raise NotImplementedError

    @property
    def data_name(self):
        return "fixed answers"

    def read_rows(self, request, workspace):
        raise NotImplementedError

    def held_out_rows(self, scale, workspace):
        raise NotImplementedError

    def prerequisites(self, request):
        return []

    def dataset_config(self, scale):
        return {}

    def training_config(self, request):
        return {}

    def instructions(self, scale, workspace):
        return QUESTIONS

    def train(self, request, workspace):
        return Trained(answers(seed_quality=1 + request.seed), {"loss": [0.0]})

    def original(self):
        return answers(seed_quality=0, words=9)

    def answers(self, policy, seed, scale, workspace, instructions=None):
        asked = self.instructions(scale, workspace) if instructions is None else instructions
        workspace.report("evaluation", 1.0)
        return [Answer(each, policy if isinstance(policy, str) else policy[each]) for each in asked]

    def save_policy(self, policy, folder):
        (folder / "policy.json").write_text(json.dumps(policy))

    def load_policy(self, folder):
        return json.loads((folder / "policy.json").read_text())


def answers(seed_quality: float, words: int = 3) -> dict[str, str]:
    """Answers that say how good they are, of different lengths."""
    return {
        question: f"quality {seed_quality + 0.5 * i:g}" + " word" * (words + i % 3)
        for i, question in enumerate(QUESTIONS)
    }


def judge(url: str, tmp_path: Path, **fields) -> Judge:
    """A judge with a template that scripted servers can read, and few retries."""
    template = tmp_path / "template.txt"
    template.write_text(TEMPLATE)
    patience = {"timeout": 60.0, "retries": 2, "template": str(template), "model": "scripted"}
    return Judge(url=url, **{**patience, **fields})
