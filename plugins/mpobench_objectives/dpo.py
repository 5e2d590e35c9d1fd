"""DPO: the policy is its own reward model, fitted to the preferences by maximum likelihood."""

from __future__ import annotations

from pydantic import Field

from mpobench.preferences import Array, PreferenceBatch

from .base import ReferencedObjective
from .numerics import log_sigmoid


class DPO(ReferencedObjective):
    """Direct preference optimization: −log σ(β Δ), with Δ the log-ratio margin.

    The default ``reduction`` is the published sum over tokens; β = 0.1 is the paper's.

    References:
        Rafailov et al. (2023), Direct Preference Optimization: Your Language Model is Secretly a Reward
        Model, arXiv:2305.18290, Eq. 7.
    """

    beta: float = Field(
        0.1,
        gt=0,
        description="strength of the pull towards the reference policy (β)",
        json_schema_extra={"search": {"low": 0.01, "high": 100.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: needs the reference's log-probabilities.

        Returns:
            ``(pairs,)``, at least 0, decreasing in Δ.
        """
        return -log_sigmoid(batch.xp, self.beta * self.log_ratio_margin(batch))
