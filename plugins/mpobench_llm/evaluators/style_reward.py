"""The evaluator ``style-reward``: true returns of a policy's answers on smollm-style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mpobench import Evaluator, Metric, Sample, Workspace
from mpobench.protocols import NORMALISED_SCORE
from mpobench_llm.envs.smollm_style.env import SmolLMStyle

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject, Scale

SHOWN = 3
"""Number of answers that are kept with the result."""


class StyleReward(Evaluator):
    """Mean return of sampled answers to held-out prompts, and shares of the rules that they keep."""

    env_type: ClassVar[type] = SmolLMStyle
    requires: ClassVar[str] = "style rules to check"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "return", "return", summary="100 · share of the rules that are kept · fluency, mean over answers"
        ),
        Metric(NORMALISED_SCORE, "%", summary="100·(J − J_original)/(J_target − J_original)"),
        Metric("lower_case", "%", summary="answers without a capital letter"),
        Metric("no_commas", "%", summary="answers without a comma"),
        Metric("two_sentences", "%", summary="answers of exactly two sentences"),
        Metric(
            "fluency",
            "%",
            summary="mean fluency: 100 where all answers are likely under the untrained model, and none repeats itself",
        ),
        Metric("length", "tokens", summary="mean length of the answers"),
    )

    def config(self, env: SmolLMStyle, scale: Scale) -> JsonObject:
        """The number of answers and the two levels that normalise the score."""
        return {"answers": env.evaluation_settings(scale).answers, **env.settings.levels}

    def evaluate(
        self, env: SmolLMStyle, policy: Any, seed: int, scale: Scale, workspace: Workspace
    ) -> dict[str, float]:
        """The metrics of a policy, from its answers."""
        answers = env.scored_answers(policy, seed, scale, workspace)
        for rollout, score in answers[:SHOWN]:
            workspace.show(Sample(rollout.prompt, rollout.text, score.total))
        levels = env.settings.levels

        def mean(values: list[float]) -> float:
            return sum(values) / len(values)

        total = mean([score.total for _, score in answers])
        return {
            "return": total,
            NORMALISED_SCORE: 100 * (total - levels["original"]) / (levels["target"] - levels["original"]),
            "lower_case": 100 * mean([score.lower_case for _, score in answers]),
            "no_commas": 100 * mean([score.no_commas for _, score in answers]),
            "two_sentences": 100 * mean([score.two_sentences for _, score in answers]),
            "fluency": 100 * mean([score.fluency for _, score in answers]),
            "length": mean([len(rollout.tokens) for rollout, _ in answers]),
        }
