"""BCO: a binary classifier of good and bad responses, whose logit is the implicit reward."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import detached, logistic_loss


class BCOPair(ReferencedObjective):
    """Binary classifier optimization on pairs: −log σ(r_w − δ) − log σ(−(r_l − δ)).

    Here r = β log π(τ)/π_ref(τ), and the reward shift δ = (mean r_w + mean r_l)/2, without a gradient: rewards
    are judged against the average one, which tightens the classifier's bound on DPO's loss. The paper's
    and TRL's former implementation keep a running mean of δ over training. A loss that is a function of its
    batch has no memory, so here δ is the mean of the batch. TRL 1.16 has no δ, which is ``shift=false``.

    The default ``reduction`` is the published sum. β = 0.01 is the paper's; TRL's default is 0.1.

    References:
        Jung et al. (2024), Binary Classifier Optimization for Large Language Model Alignment,
        arXiv:2404.04656, §4.
    """

    beta: Beta = 0.01
    shift: bool = Field(
        True, description="whether rewards are taken relative to the batch's mean (δ), or to 0"
    )

    @property
    def min_pairs(self) -> int:
        """The shift is a mean over the batch: of 128 pairs in the paper, Appendix C."""
        return 128 if self.shift else 1

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included; each pair's loss depends on the others through δ.

        Returns:
            ``(pairs,)``, at least 0; for a fixed δ decreasing in r_w and increasing in r_l.
        """
        xp = batch.xp
        chosen, rejected = (self.beta * log_ratio for log_ratio in self.log_ratios(batch))
        if self.shift:
            delta = detached(xp, (xp.mean(chosen) + xp.mean(rejected)) / 2)
            chosen, rejected = chosen - delta, rejected - delta
        return logistic_loss(xp, chosen) + logistic_loss(xp, -rejected)
