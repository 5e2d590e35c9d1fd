"""TA-MPO: from cloning to preferences in the course of one training."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field

from mpobench.preferences import Array, PreferenceBatch

from .base import ReducedObjective, Reduction
from .numerics import as_array_like, log_sigmoid

Schedule: TypeAlias = Literal["linear", "quadratic", "sigmoid"]


def preference_weight(xp: Any, schedule: Schedule, t: Array) -> Array:
    """α(t): how far the loss has moved from cloning to preferences, after share ``t`` of training."""
    if schedule == "linear":
        return t
    if schedule == "quadratic":
        return t**2
    return 1 / (1 + xp.exp(-20 * (t - 0.75)))


class TAMPO(ReducedObjective):
    """Temporally-aware mirror preference optimization.

    The loss is −(1 − α(t)) log π(τ_w) − α(t) log σ(β (log π(τ_w) − log π(τ_l)) − γ), where t is
    ``batch.progress`` and α(t) = t, t² or σ(20 (t − 0.75)). One stage, no reference.

    The default ``reduction`` is the mean, since the second term is SimPO's, whose defaults β and γ share. The
    default schedule is the quadratic one, which in the paper's control tasks matches or surpasses all losses
    designed by hand; on language models the sigmoid one did best.

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, Eq. 13.
    """

    reduction: Reduction = "mean"
    schedule: Schedule = Field("quadratic", description="how the weight of the preference term grows (α(t))")
    beta: float = Field(
        2.0,
        gt=0,
        description="scale of the margin (β)",
        json_schema_extra={"search": {"low": 0.1, "high": 100.0, "log": True}},
    )
    gamma: float = Field(
        1.0,
        ge=0,
        description="target margin after scaling (γ)",
        json_schema_extra={"search": {"low": 0.1, "high": 10.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: of which ``progress`` is read, and the reference is not.

        Returns:
            ``(pairs,)``, decreasing in log π(τ_w), not decreasing in log π(τ_l).
        """
        xp = batch.xp
        chosen, rejected = self.logp(batch.chosen), self.logp(batch.rejected)
        alpha = preference_weight(xp, self.schedule, as_array_like(xp, batch.progress, chosen))
        preference = log_sigmoid(xp, self.beta * (chosen - rejected) - self.gamma)
        return -(1 - alpha) * chosen - alpha * preference
