"""An evaluator: a score of the policies of one environment."""

from typing import Any, ClassVar

import numpy as np

from mpobench import Evaluator, Metric, Workspace
from mpobench.protocols import NORMALISED_SCORE, JsonObject, Scale

from .env import AGENTS, PAYOFFS, Arms, log_softmax


class Payoff(Evaluator):
    """The exact mean payoff of a pull."""

    env_type: ClassVar[type] = Arms
    requires: ClassVar[str] = "arms that pay"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("payoff", "per pull", summary="mean payoff of a pull"),
        Metric(NORMALISED_SCORE, "%", summary="100·(J − J_original)/(J_target − J_original)"),
    )

    def config(self, env: Arms, scale: Scale) -> JsonObject:
        """Nothing decides the score but the policy."""
        return {}

    def evaluate(
        self, env: Arms, policy: Any, seed: int, scale: Scale, workspace: Workspace
    ) -> dict[str, float]:
        """The mean payoff, and where it lies between those of the two agents."""
        original, target, payoff = np.exp(log_softmax(np.vstack([AGENTS, policy]))) @ PAYOFFS
        score = 100 * (payoff - original) / (target - original)
        return {"payoff": float(payoff), NORMALISED_SCORE: float(score)}
