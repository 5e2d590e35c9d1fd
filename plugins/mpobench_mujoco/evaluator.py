"""The true return of a trained policy."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pydantic import Field

from mpobench import Env, Evaluator, Metric, Workspace
from mpobench.protocols import NORMALISED_SCORE, JsonObject, Scale
from mpobench_mujoco import agents
from mpobench_mujoco.env import MujocoEnv
from mpobench_mujoco.settings import EvaluationSettings


class Return(Evaluator):
    """Mean return of stochastic rollouts, and where it lies between the original and the target agent."""

    env_type: ClassVar[type] = MujocoEnv
    requires: ClassVar[str] = "rollouts with a true return"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("return", "return", summary="mean undiscounted return"),
        Metric(NORMALISED_SCORE, "%", summary="100·(J − J_original)/(J_target − J_original)"),
        Metric("return-1000", "return", summary="return over all 1000 steps: a fallen policy starts again"),
        Metric("length", "steps", summary="mean episode length"),
        Metric("std", "action", summary="mean standard deviation of the policy's actions"),
        Metric(
            "kl", "nats/step", summary="mean KL(π ‖ π_ref) in the states of these episodes, in closed form"
        ),
    )

    def config(self, env: MujocoEnv, scale: Scale) -> JsonObject:
        """The number of episodes and the two levels that normalise the score."""
        original, target = self._levels(env)
        episodes = self._settings(env, scale).episodes
        return {"episodes": episodes, "original": original, "target": target}

    def evaluate(
        self, env: MujocoEnv, policy: Any, seed: int, scale: Scale, workspace: Workspace
    ) -> dict[str, float]:
        """Rolls the policy out."""
        scores = env.scores(policy, seed, self._settings(env, scale), workspace)
        original, target = self._levels(env)
        mean = float(scores.returns.mean())
        metrics = {
            "return": mean,
            NORMALISED_SCORE: 100 * (mean - original) / (target - original),
            "return-1000": float(scores.returns_with_resets.mean()),
            "length": float(scores.lengths.mean()),
            "std": env.action_std(policy),
        }
        divergence = float(scores.divergences.sum() / scores.lengths.sum())
        # A policy without a reference, such as an agent, has no divergence.
        return metrics if math.isnan(divergence) else {**metrics, "kl": divergence}

    def _settings(self, env: MujocoEnv, scale: Scale) -> EvaluationSettings:
        return env.evaluation_settings(scale)

    @staticmethod
    def _levels(env: MujocoEnv) -> tuple[float, float]:
        task = env.settings.task.task
        original, target = (env.agent(role)[1].level(task).mean for role in agents.ROLES)
        return original, target


class SampledReturn(Return):
    """The return of a given number of episodes: few are enough for the thousands of policies of a search."""

    episodes: int = Field(32, ge=1, description="episodes to roll out")

    def _settings(self, env: MujocoEnv, scale: Scale) -> EvaluationSettings:
        batch = env.evaluation_settings(scale).batch
        return EvaluationSettings(episodes=self.episodes, batch=min(batch, self.episodes))


class ReturnAtAgentsStd(Return):
    """The return of a policy that has learned its own standard deviation, at the target agent's.

    A policy that acts less noisily than the agents earns more without acting better. This score takes that away: mean
    actions are the policy's, the noise around them is that of the behaviour it was shown. So is that of the reference,
    to which the KL divergence is measured.
    """

    def skip_reason(self, env: Env) -> str | None:
        """Refuses environments whose policies all act at one standard deviation, too."""
        reason = super().skip_reason(env)
        if reason or not isinstance(env, MujocoEnv) or env.std == "learned":
            return reason
        return "its policies act at the agents' standard deviation already: see return"

    def evaluate(
        self, env: MujocoEnv, policy: Any, seed: int, scale: Scale, workspace: Workspace
    ) -> dict[str, float]:
        """Rolls the policy out."""
        return super().evaluate(env, env.at_target_std(policy), seed, scale, workspace)
