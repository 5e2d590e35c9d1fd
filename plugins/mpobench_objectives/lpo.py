"""LPO: a linear loss, which never stops pushing the two sides apart."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import ReducedObjective, Reduction
from .mirror.one_step import OneStepMPO
from .mirror.weights import LOG, added_term, identity_units, one_unit


class LPO(ReducedObjective):
    """Linear preference optimization: −λ log π(τ_w) + log π(τ_l).

    SLiC-HF with δ = ∞ and its λ smaller by one. In the paper's tasks log π(τ) is a mean over steps, and
    λ is not given. For a Gaussian policy of fixed standard deviation the loss has a minimum only if λ > 1, at
    the action a_w + (a_w − a_l)/(λ − 1): the default λ = 10 steps past the chosen one by a ninth of the way.

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, §4.2.
    """

    reduction: Reduction = "mean"
    lam: float = Field(
        10.0,
        gt=0,
        description="weight of the cloning term against the other (λ)",
        json_schema_extra={"search": {"low": 1.5, "high": 1000.0, "log": True}},
    )

    def as_networks(self) -> OneStepMPO:
        """The same loss on means, for λ above 1 and log π above −62, as networks: a place for a search to begin."""
        return OneStepMPO(
            psi_network=added_term(self.lam - 1), phi_network=one_unit(LOG), g_network=identity_units()
        )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, linear: decreasing in log π(τ_w), increasing in log π(τ_l).
        """
        return self.logp(batch.rejected) - self.lam * self.logp(batch.chosen)
