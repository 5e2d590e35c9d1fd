"""APO: DPO leaves open whether both sides rise or fall; these two losses decide it."""

from __future__ import annotations

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import sigmoid


class APOZero(ReferencedObjective):
    """APO-zero: −σ(r_w) + σ(r_l) + 1, with r = β log π(τ)/π_ref(τ): the chosen side up, the other down.

    For chosen sides that are better than what the policy does by itself. KTO with its reference point at 0.
    The constant, which TRL adds, makes the loss 1 at the reference and least at 0. The default ``reduction``
    is the published sum; β = 0.1 is the paper's.

    References:
        D'Oosterlinck et al. (2024), Anchored Preference Optimization and Contrastive Revisions: Addressing
        Underspecification in Alignment, arXiv:2408.06266, Eq. 7.
    """

    beta: Beta = 0.1

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, between 0 and 2, decreasing in r_w and increasing in r_l.
        """
        xp = batch.xp
        chosen, rejected = (self.beta * log_ratio for log_ratio in self.log_ratios(batch))
        return sigmoid(xp, -chosen) + sigmoid(xp, rejected)


class APODown(ReferencedObjective):
    """APO-down: σ(r_w) − σ(r_w − r_l) + 1, with r = β log π(τ)/π_ref(τ): both sides down, the rejected one more.

    For chosen sides that are worse than what the policy does by itself: so it is not monotone in r_w. The
    constant, which TRL adds, keeps the loss positive. The default ``reduction`` is the published sum;
    β = 0.1 is the paper's.

    References:
        D'Oosterlinck et al. (2024), Anchored Preference Optimization and Contrastive Revisions: Addressing
        Underspecification in Alignment, arXiv:2408.06266, Eq. 8.
    """

    beta: Beta = 0.1

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, between 0 and 2, increasing in r_l.
        """
        xp = batch.xp
        chosen, rejected = (self.beta * log_ratio for log_ratio in self.log_ratios(batch))
        return sigmoid(xp, chosen) + sigmoid(xp, rejected - chosen)
