"""CPO: DPO under a uniform reference, held in place by a cloning term."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import ReducedObjective
from .mirror.one_step import OneStepMPO
from .mirror.weights import LOG, added_term, one_unit, ready_units
from .numerics import logistic_loss


class CPO(ReducedObjective):
    """Contrastive preference optimization: −log π(τ_w) − log σ(β (log π(τ_w) − log π(τ_l))).

    One stage, no reference. The default ``reduction`` is the published sum, in both terms (some
    implementations average the cloning term only); β = 0.1 is the paper's.

    References:
        Xu et al. (2024), Contrastive Preference Optimization: Pushing the Boundaries of LLM Performance in
        Machine Translation, arXiv:2401.08417.
    """

    beta: float = Field(
        0.1,
        gt=0,
        description="scale of the margin (β)",
        json_schema_extra={"search": {"low": 1e-3, "high": 100.0, "log": True}},
    )

    def as_networks(self) -> OneStepMPO:
        """The same loss on means, for log π above −62, as networks: a place for a search to begin."""
        return OneStepMPO(
            beta=self.beta, psi_network=added_term(), phi_network=one_unit(LOG), g_network=ready_units()
        )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, decreasing in log π(τ_w) and increasing in log π(τ_l).
        """
        chosen, rejected = self.logp(batch.chosen), self.logp(batch.rejected)
        return logistic_loss(batch.xp, self.beta * (chosen - rejected)) - chosen
