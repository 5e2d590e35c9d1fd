"""RPO: DPO that goes on cloning the chosen side."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import logistic_loss


class RPO(ReferencedObjective):
    """DPO plus cloning: −log σ(β Δ) − λ M_w, with Δ the log-ratio margin and M = log π(τ) / |τ|.

    Two papers of one season have it under one name, as a regulariser against over-optimization (Liu et al.) and
    for chains of thought (Pang et al.). The cloning term is on the mean, as in the latter; TRL, which has it as
    ``loss_type=["sigmoid", "sft"]``, averages over the tokens of a batch, so that long responses weigh more.

    The default ``reduction``, of Δ, is DPO's sum; β = 0.1 and λ = 1 are those of Pang et al. (Liu et al. have
    λ = 0.005).

    References:
        Pang et al. (2024), Iterative Reasoning Preference Optimization, arXiv:2404.19733.
        Liu et al. (2024), Provably Mitigating Overoptimization in RLHF: Your SFT Loss is Implicitly an
        Adversarial Regularizer, arXiv:2405.16436.
    """

    beta: Beta = 0.1
    lam: float = Field(
        1.0,
        ge=0,
        description="weight of the cloning term (λ)",
        json_schema_extra={"search": {"low": 0.001, "high": 10.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, decreasing in log π(τ_w) and increasing in log π(τ_l).
        """
        margin = self.beta * self.log_ratio_margin(batch)
        return logistic_loss(batch.xp, margin) - self.lam * batch.chosen.mean
