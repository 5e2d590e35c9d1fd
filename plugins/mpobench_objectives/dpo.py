"""DPO: the policy is its own reward model, fitted to the preferences by maximum likelihood."""

from __future__ import annotations

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import logistic_loss


class DPO(ReferencedObjective):
    """Direct preference optimization: −log σ(β Δ), with Δ the log-ratio margin.

    The default ``reduction`` is the published sum over tokens; β = 0.1 is the paper's.

    References:
        Rafailov et al. (2023), Direct Preference Optimization: Your Language Model is Secretly a Reward
        Model, arXiv:2305.18290, Eq. 7.
    """

    beta: Beta = 0.1

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0, decreasing in Δ.
        """
        return logistic_loss(batch.xp, self.beta * self.log_ratio_margin(batch))
