"""CPO with weights: the discovered objective under g = log σ."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import ReducedObjective, Reduction
from .numerics import logistic_loss


class MPOLogSigmoid(ReducedObjective):
    """The closed form of the one-step class with g = log σ: −α log π(τ_w) − λ log σ(β log π(τ_w) − β log π(τ_l)).

    Evolution of ψ and φ⁻¹ always came back to it, with coefficients that depend on the dataset and are not
    printed. In the two-step class it came back to :mod:`~mpobench_objectives.dpo`, which is the other of the
    two closed forms. With α = λ = 1 this is CPO.

    The default ``reduction`` is the mean over steps, as in the paper's tasks, and all three coefficients are 1.

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, §4.2.
    """

    reduction: Reduction = "mean"
    alpha: float = Field(
        1.0,
        ge=0,
        description="weight of the cloning term (α)",
        json_schema_extra={"search": {"low": 0.01, "high": 10.0, "log": True}},
    )
    lam: float = Field(
        1.0,
        ge=0,
        description="weight of the preference term (λ)",
        json_schema_extra={"search": {"low": 0.01, "high": 10.0, "log": True}},
    )
    beta: float = Field(
        1.0,
        gt=0,
        description="scale of the margin (β)",
        json_schema_extra={"search": {"low": 0.01, "high": 100.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, decreasing in log π(τ_w), not decreasing in log π(τ_l).
        """
        chosen, rejected = self.logp(batch.chosen), self.logp(batch.rejected)
        return self.lam * logistic_loss(batch.xp, self.beta * (chosen - rejected)) - self.alpha * chosen
