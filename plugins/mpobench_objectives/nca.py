"""NCA: tell each response from the reference's noise, so that the chosen one's likelihood does not sink."""

from __future__ import annotations

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import logistic_loss


class NCAPair(ReferencedObjective):
    """Noise contrastive alignment on pairs: −log σ(r_w) − ½ log σ(−r_w) − ½ log σ(−r_l).

    Here r = β log π(τ)/π_ref(τ). Rewards are absolute, not relative as in DPO: r_w is drawn to log 2, and
    r_l only down. The default ``reduction`` is the published sum. β = 0.01 is the paper's (its α); TRL's
    default is 0.1.

    References:
        Chen et al. (2024), Noise Contrastive Alignment of Language Models with Explicit Rewards,
        arXiv:2402.05369, §4.1.
    """

    beta: Beta = 0.01

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0, increasing in r_l, and least in r_w where r_w = log 2.
        """
        xp = batch.xp
        chosen, rejected = (self.beta * log_ratio for log_ratio in self.log_ratios(batch))
        noise = logistic_loss(xp, -chosen) + logistic_loss(xp, -rejected)
        return logistic_loss(xp, chosen) + 0.5 * noise
