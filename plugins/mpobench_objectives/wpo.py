"""WPO: off-policy pairs count as much as the policy would have generated them."""

from __future__ import annotations

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import detached, logistic_loss


class WPO(ReferencedObjective):
    """Weighted preference optimization: −w_w w_l log σ(β Δ), with w = π(τ)^(1/|τ|) and no gradient through w.

    DPO on pairs weighted by how likely the policy finds them. These are the paper's plain weights. Its
    *sampled alignment* divides each token's probability by Σ p² over the vocabulary, so that confident and
    hesitant positions weigh alike; TRL's ``use_weighting`` does so too. Log-probabilities of sequences do not
    tell Σ p². A mean log-density may exceed 0: its weight is at most 1 here.

    The default ``reduction``, of Δ, is DPO's sum; β = 0.1 is DPO's (the paper has 0.01).

    References:
        Zhou et al. (2024), WPO: Enhancing RLHF with Weighted Preference Optimization, arXiv:2406.11827, Eq. 2.
    """

    beta: Beta = 0.1

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0; for fixed weights decreasing in Δ.
        """
        xp, none = batch.xp, batch.xp.zeros_like(batch.chosen.mean)
        log_weight = xp.minimum(batch.chosen.mean, none) + xp.minimum(batch.rejected.mean, none)
        weight = detached(xp, xp.exp(log_weight))
        return weight * logistic_loss(xp, self.beta * self.log_ratio_margin(batch))
