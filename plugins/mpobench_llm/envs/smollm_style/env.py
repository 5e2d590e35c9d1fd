"""``smollm-style``: the Three-Legged Ant of language. A small model must learn to answer by three rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mpobench import ORIGINAL, TARGET, Prerequisite, RequestError, TrainingRequest, Workspace
from mpobench.env_kit.pair_labels import draw_sources, label
from mpobench_llm.envs.language_env import LanguageEnv
from mpobench_llm.envs.smollm_style.configuration import ROLES, Block, StyleConfiguration
from mpobench_llm.envs.smollm_style.rules import StyleScore, score
from mpobench_llm.models.lengths import KeptRows

if TYPE_CHECKING:
    from mpobench.protocols import Scale
    from mpobench_llm.envs.smollm_style.rollouts import Rollout
    from mpobench_llm.models.policy import Policy
    from mpobench_llm.models.tokens import Row


@dataclass(frozen=True)
class Conversion:
    """The conversion of the packaged model: the payload of a prerequisite."""


class SmolLMStyle(StyleConfiguration, LanguageEnv):
    """SmolLM2-135M-Instruct must answer in two sentences, in lower case, without commas, and stay fluent.

    The original agent is the model with the plain prompt. The target agent is the same model with the rules and three
    examples in its prompt. A policy gets the plain prompt. The return of an answer is 100 times the share of the rules
    that it keeps, times its fluency.
    """

    default_evaluators: ClassVar[tuple[str, ...]] = ("style-reward",)

    def data_prerequisites(self, request: TrainingRequest) -> list[Prerequisite]:
        """The converted model, then the blocks of answers."""
        model = Prerequisite(self.model_key(), self.model_path(), "model", Conversion())
        blocks = [
            Prerequisite(
                self.block_key(block), self.block_path(block), "answers", block, (model.key,), block.count
            )
            for block in self.blocks(request.dataset)
        ]
        return [model, *blocks]

    def prepare_data(self, payload: Conversion | Block, workspace: Workspace) -> None:
        """Converts the model, or samples a block of answers."""
        if isinstance(payload, Conversion):
            self.source(workspace)
            return
        from mpobench_llm.envs.smollm_style import rollouts

        rollouts.read_block(self, payload, workspace)

    @property
    def data_name(self) -> str:
        """The environment's name: its data are its own."""
        return "smollm-style"

    def read_rows(self, request: TrainingRequest, workspace: Workspace) -> KeptRows:
        """Pairs of answers of the pool: sources, judge and flips by the corruption."""
        from mpobench_llm.envs.smollm_style import rollouts

        dataset = request.dataset
        pairs = self.pairs(dataset.scale)
        sources = draw_sources(dataset.corruption, pairs, dataset.seed)
        picked: dict[tuple[int, int], Rollout] = {}
        for block in self.blocks(dataset):
            for row, rollout in enumerate(rollouts.read_block(self, block, workspace), block.first):
                if ROLES[sources[row, block.draw]] == block.role:
                    picked[row, block.draw] = rollout
        returns = np.array([[self.score(picked[row, side]).total for side in (0, 1)] for row in range(pairs)])
        labels = label(dataset.corruption, sources, returns, dataset.seed)
        bound = self.bound(request)
        fitted = (
            rollouts.fitted(self, picked[row, side], picked[row, 1 - side], bound, workspace)
            for row, side in enumerate(labels.chosen.tolist())
        )
        return KeptRows.of(fitted, bound)

    def held_out_rows(self, scale: Scale, workspace: Workspace) -> list[Row]:
        """Pairs of the two agents on the held-out prompts, with the better answer chosen. Ties are left out."""
        from mpobench_llm.envs.smollm_style import rollouts

        count = self.evaluation_settings(scale).pairs
        original, target = (
            rollouts.read_block(self, Block(ROLES[agent], 0, 0, count, "held-out"), workspace)
            for agent in (ORIGINAL, TARGET)
        )
        bound = self.held_out_bound(workspace)
        fitted = []
        for pair in zip(original, target, strict=True):
            worse, better = sorted(pair, key=lambda rollout: self.score(rollout).total)
            if self.score(worse).total < self.score(better).total:
                fitted.append(rollouts.fitted(self, better, worse, bound, workspace))
        if not fitted:
            raise RequestError(
                f"the agents earn the same on all of {count} held-out prompts: take a larger --scale"
            )
        return self.checked_held_out(KeptRows.of(fitted, bound), bound, workspace)

    def instructions(self, scale: Scale, workspace: Workspace) -> list[str]:
        """The held-out prompts. They repeat where more answers are asked for than there are prompts."""
        return self.selected_prompts("held-out", 0, self.evaluation_settings(scale).answers)

    def score(self, rollout: Rollout) -> StyleScore:
        """The score of an answer."""
        return score(rollout.text, rollout.mean_logp, self.settings.fluency)

    def scored_answers(
        self, policy: Policy, seed: int, scale: Scale, workspace: Workspace
    ) -> list[tuple[Rollout, StyleScore]]:
        """A policy's answers to the held-out prompts, with their scores.

        Args:
            policy: Policy that answers.
            seed: Seed of the sampling. Policies of one seed draw the same random numbers.
            scale: Scale, which decides the number of answers.
            workspace: Cache with the model, and progress reports.
        """
        from mpobench_llm.envs.smollm_style import rollouts

        answers = rollouts.evaluation_rollouts(self, policy, seed, scale, workspace)
        return [(rollout, self.score(rollout)) for rollout in answers]
