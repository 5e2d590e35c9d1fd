"""``smollm-style``: the Three-Legged Ant of language. A small model must learn to answer by three rules."""

from __future__ import annotations

from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mpobench import ORIGINAL, TARGET, DatasetRequest, Prerequisite, RequestError, TrainingRequest, Workspace
from mpobench.env_kit.pair_labels import draw_sources, label
from mpobench.files.keys import content_key
from mpobench_llm import smollm
from mpobench_llm.env import LanguageEnv
from mpobench_llm.settings import EnvSettings, load_toml
from mpobench_llm.style import EXAMPLES, INSTRUCTION, FluencySettings, StyleScore, score

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject, Scale
    from mpobench_llm.models import Policy, Source
    from mpobench_llm.rollouts import Rollout
    from mpobench_llm.tokens import Row

ROLLOUTS = 1
"""Raised when the sampling of answers changes, if only by rounding."""

ROLES = ("original", "target")
"""In the order of :data:`mpobench.ORIGINAL` and :data:`mpobench.TARGET`."""

TRAINING_PROMPTS = 384
"""The first so many lines of ``prompts.txt``; the others are held out."""


class StyleSettings(EnvSettings):
    """The environment's file.

    Attributes:
        fluency: how it enters the return.
        levels: mean return of each agent on the held-out prompts.
    """

    fluency: FluencySettings
    levels: dict[str, float]


class SmolLMStyle(LanguageEnv):
    """SmolLM2-135M-Instruct must answer in two sentences, in lower case, without commas, and stay fluent.

    The original agent is the model, the target agent the same model told the rules and shown three examples; a policy
    is asked plainly. The return of an answer is 100 times the share of the rules that it keeps, times its fluency.
    """

    default_evaluators: ClassVar[tuple[str, ...]] = ("style-reward",)

    @property
    def settings(self) -> StyleSettings:
        """What ``smollm_style.toml`` says."""
        return StyleSettings.model_validate(load_toml("smollm_style.toml"))

    @cached_property
    def prompts(self) -> list[str]:
        """All prompts: those of the training, then those that are held out."""
        text = resources.files("mpobench_llm").joinpath("prompts.txt").read_text("utf-8")
        return text.removesuffix("\n").split("\n")

    def dataset_config(self, scale: Scale) -> JsonObject:
        """The model, the prompts, the task, and the number of pairs."""
        settings = self.settings
        pairs = settings.scale[scale].dataset.pairs
        return {
            "version": ROLLOUTS,
            "task": self._task,
            "fluency": settings.fluency.model_dump(),
            "pairs": pairs,
        }

    @cached_property
    def _task(self) -> JsonObject:
        return {
            "model": smollm.packaged()[1],
            "prompts": content_key(self.prompts),
            "target": content_key([INSTRUCTION, EXAMPLES]),
            "sampling": self.settings.sampling.model_dump(),
        }

    def _model_key(self) -> str:
        return content_key({"make": "model", "file": smollm.packaged()[1]})

    def source(self, workspace: Workspace, precision: str = "auto") -> Source:
        """The converted model."""
        from mpobench_llm.models import Source

        folder = workspace.cache / "models" / self._model_key()
        smollm.convert(folder)
        return Source(str(folder), smollm.HUB_NAME, precision)

    def block_payload(
        self, role: str, draw: int, first: int, count: int, purpose: str = "data"
    ) -> JsonObject:
        """What a block of answers is made from; its content key is its name in the cache."""
        return {
            "make": "answers",
            "version": ROLLOUTS,
            "task": self._task,
            "role": role,
            "draw": draw,
            "first": first,
            "count": count,
            "purpose": purpose,
        }

    def blocks(self, request: DatasetRequest) -> list[JsonObject]:
        """The blocks of answers that a dataset picks from: every block of each (side, agent) that occurs."""
        settings = self.settings.scale[request.scale].dataset
        pairs = settings.pairs or TRAINING_PROMPTS
        sources = draw_sources(request.corruption, pairs, request.seed)
        return [
            self.block_payload(ROLES[agent], side, first, min(settings.block, pairs - first))
            for side in (0, 1)
            for agent in sorted(set(sources[:, side].tolist()))
            for first in range(0, pairs, settings.block)
        ]

    def preparations(self, request: TrainingRequest) -> list[Prerequisite]:
        """The converted model, then the blocks of answers."""
        model = Prerequisite(key := self._model_key(), f"models/{key}", "model", {"make": "model"})
        blocks = [
            Prerequisite(
                block := content_key(payload),
                f"answers/{block}.json",
                "answers",
                payload,
                (model.key,),
                payload["count"],
            )
            for payload in self.blocks(request.dataset)
        ]
        return [model, *blocks]

    def prepare(self, payload: JsonObject | TrainingRequest, workspace: Workspace) -> None:
        """Converts the model, or makes a block of answers or an SFT stage."""
        if isinstance(payload, TrainingRequest):
            super().prepare(payload, workspace)
        elif payload["make"] == "model":
            self.source(workspace)
        else:
            from mpobench_llm import rollouts

            rollouts.block(self, payload, workspace)

    def rows(self, request: TrainingRequest, workspace: Workspace) -> list[Row]:
        """Picks from the pool: sources, judge, flips."""
        dataset = request.dataset
        pairs = self.settings.scale[dataset.scale].dataset.pairs or TRAINING_PROMPTS
        sources = draw_sources(dataset.corruption, pairs, dataset.seed)
        picked: dict[tuple[int, int], Rollout] = {}
        from mpobench_llm import rollouts

        for payload in self.blocks(dataset):
            for row, rollout in enumerate(rollouts.block(self, payload, workspace), payload["first"]):
                if ROLES[sources[row, payload["draw"]]] == payload["role"]:
                    picked[row, payload["draw"]] = rollout
        returns = np.array([[self.score(picked[row, side]).total for side in (0, 1)] for row in range(pairs)])
        labels = label(dataset.corruption, sources, returns, dataset.seed)
        max_length = self.training_settings(request).max_length
        return [
            rollouts.as_row(self, picked[row, side], picked[row, 1 - side], row, max_length, workspace)
            for row, side in enumerate(labels.chosen.tolist())
        ]

    def held_out_rows(self, scale: Scale, workspace: Workspace) -> list[Row]:
        """Pairs of the two agents on the held-out prompts, the better answer chosen; ties are left out."""
        from mpobench_llm import rollouts

        count = self.evaluation_settings(scale).pairs
        original, target = (
            rollouts.block(self, self.block_payload(ROLES[agent], 0, 0, count, "held-out"), workspace)
            for agent in (ORIGINAL, TARGET)
        )
        rows = []
        for i, pair in enumerate(zip(original, target, strict=True)):
            worse, better = sorted(pair, key=lambda rollout: self.score(rollout).total)
            if self.score(worse).total < self.score(better).total:
                rows.append(rollouts.as_row(self, better, worse, i, 2048, workspace))
        if not rows:
            raise RequestError(
                f"the agents earn the same on all of {count} held-out prompts: take a larger --scale"
            )
        return rows

    def instructions(self, scale: Scale, workspace: Workspace) -> list[str]:
        """The held-out prompts, again from the first where more answers are asked for."""
        return self.asked("held-out", 0, self.evaluation_settings(scale).answers)

    def asked(self, purpose: str, first: int, count: int) -> list[str]:
        """Prompts of the training (``data``) or those that are held out, round and round."""
        pool = self.prompts[:TRAINING_PROMPTS] if purpose == "data" else self.prompts[TRAINING_PROMPTS:]
        return [pool[i % len(pool)] for i in range(first, first + count)]

    def score(self, rollout: Rollout) -> StyleScore:
        """What an answer earns."""
        return score(rollout.text, rollout.mean_logp, self.settings.fluency)

    def returns(
        self, policy: Policy, seed: int, scale: Scale, workspace: Workspace
    ) -> list[tuple[Rollout, StyleScore]]:
        """A policy's answers to the held-out prompts, each with what it earns."""
        from mpobench_llm import rollouts

        made = rollouts.evaluate(self, policy, seed, scale, workspace)
        return [(rollout, self.score(rollout)) for rollout in made]
