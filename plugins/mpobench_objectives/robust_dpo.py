"""Robust DPO: a loss on flipped labels whose mean is DPO's on the true ones."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import logistic_loss


class RobustDPO(ReferencedObjective):
    """Provably robust DPO: ((1 − ε) ℓ(β Δ) − ε ℓ(−β Δ)) / (1 − 2ε), with ℓ(x) = −log σ(x).

    If each label is flipped with probability ε, the expectation over the flips is DPO's loss on the true
    labels. Where :mod:`~mpobench_objectives.cdpo` adds the flipped loss, this takes it away, so that the
    policy never stops: the loss has no lower bound. At ε = 0 both are DPO. The authors also write rDPO,
    which here is :mod:`~mpobench_objectives.rdpo`, the length-regularised one. The default ``reduction`` is
    DPO's sum; ε = 0.1 is the paper's, and β = 0.1 DPO's (the paper's own runs have 0.01).

    References:
        Chowdhury et al. (2024), Provably Robust DPO: Aligning Language Models with Noisy Feedback,
        arXiv:2403.00409, §3.1.
    """

    beta: Beta = 0.1
    epsilon: float = Field(
        0.1,
        ge=0,
        lt=0.5,
        description="share of labels that are taken to be flipped (ε)",
        json_schema_extra={"search": {"low": 0.01, "high": 0.4, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, of either sign, decreasing in Δ.
        """
        xp, margin = batch.xp, self.beta * self.log_ratio_margin(batch)
        right, wrong = logistic_loss(xp, margin), logistic_loss(xp, -margin)
        return ((1 - self.epsilon) * right - self.epsilon * wrong) / (1 - 2 * self.epsilon)
