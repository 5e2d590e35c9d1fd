"""SFT: clone the chosen side, ignore the other."""

from __future__ import annotations

from mpobench.protocols import Array, PreferenceBatch

from .base import ReducedObjective, Reduction
from .mirror.one_step import OneStepMPO
from .mirror.weights import idle_units


class SFT(ReducedObjective):
    """Supervised fine-tuning, also called behaviour cloning: −log π(τ_w).

    The default ``reduction`` is the mean over tokens, as language models are trained.

    References:
        Pomerleau (1991), Efficient Training of Artificial Neural Networks for Autonomous Navigation.
        Alfano et al., Meta-Learning Objectives for Preference Optimization, §2.1.
    """

    reduction: Reduction = "mean"

    def as_networks(self) -> OneStepMPO:
        """The same loss on means as networks, of which g is 0: a place for a search to begin."""
        return OneStepMPO.start().model_copy(update={"g_network": idle_units()})

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; only the chosen side is read.

        Returns:
            ``(pairs,)``, decreasing in log π(τ_w).
        """
        return -self.logp(batch.chosen)
