"""RRHF: rank the mean log-probabilities as the judge does, and clone the best."""

from __future__ import annotations

from mpobench.protocols import Array, PreferenceBatch

from .base import CloningWeight, ReducedObjective, Reduction
from .numerics import relu


class RRHF(ReducedObjective):
    """Rank responses to align with human feedback: −λ log π(τ_w) + max(0, M_l − M_w), M = log π(τ) / |τ|.

    The rank term is on means by definition; ``reduction`` is that of the cloning term, by default the mean
    as in the authors' implementation (their formula is a sum). λ = 1 weighs both terms alike, as there.

    References:
        Yuan et al. (2023), RRHF: Rank Responses to Align Language Models with Human Feedback without Tears,
        arXiv:2304.05302, Eq. 2-4; λ on the cloning term as in Alfano et al., Table 4.
    """

    reduction: Reduction = "mean"
    lam: CloningWeight = 1.0

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, decreasing in log π(τ_w), not decreasing in log π(τ_l).
        """
        misranked = relu(batch.xp, batch.rejected.mean - batch.chosen.mean)
        return misranked - self.lam * self.logp(batch.chosen)
