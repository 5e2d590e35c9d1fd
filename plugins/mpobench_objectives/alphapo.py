"""AlphaPO: SimPO with a reward that is a power of the probability instead of its logarithm."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import MarginScale
from .numerics import box_cox, logistic_loss
from .simpo import SimPO


class AlphaPO(SimPO):
    """SimPO with reward shape α: −log σ(β (r_w − r_l) − γ), r = (1 − p^(−α))/α, p = π(τ)^(1/|τ|).

    At α = 0 the reward is log p, and this is SimPO. For α > 0 the slope of r grows as p falls, which holds the
    chosen side's likelihood up; for α < 0 it shrinks. p^(−α) overflows long before log p does, and goes
    on along its tangent from e³⁰ (TRL's overflows).

    As in SimPO, γ is absolute, the formula fixes the normalisation, and training begins with an SFT stage.
    α = 0.25, β = 2.5 and γ = 0.1 are those that TRL's documentation takes from the paper for Mistral-7B-Instruct.

    References:
        Gupta et al. (2025), AlphaPO: Reward Shape Matters for LLM Alignment, arXiv:2501.03884.
    """

    alpha: float = Field(
        0.25,
        ge=-1,
        le=1,
        description="shape of the reward (α), logarithmic at 0",
        json_schema_extra={"search": {"low": -0.5, "high": 0.5, "log": False}},
    )
    beta: MarginScale = 2.5
    gamma: float = Field(
        0.1,
        ge=0,
        description="target margin after scaling (γ)",
        json_schema_extra={"search": {"low": 0.01, "high": 10.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, at least 0, decreasing in log π(τ_w) and increasing in log π(τ_l).
        """
        xp = batch.xp
        chosen = box_cox(xp, batch.chosen.mean, -self.alpha)
        rejected = box_cox(xp, batch.rejected.mean, -self.alpha)
        return logistic_loss(xp, self.beta * (chosen - rejected) - self.gamma)
