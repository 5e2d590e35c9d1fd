"""1S-MPO: cloning and preferences in one stage, through any mirror map."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import CloningMirrorObjective
from .weights import added_term, ready_units


class OneStepMPO(CloningMirrorObjective):
    """One-step mirror preference optimization: −ψ(π(τ_w)) − λ g(β (φ⁻¹(π(τ_w)) − φ⁻¹(π(τ_l)))).

    ``psi="log"`` with ``phi="logit"`` is ORPO, with ``phi="log"`` CPO (λ = 1) on means. Eq. 11 has no β; it
    is 1 by default, and there because a closed form, unlike a network, cannot absorb a scale: the
    objectives that discovery finds under g = log σ differ in just this number (§4.2).

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, Eq. 11.
    """

    lam: float = Field(
        1.0,
        ge=0,
        description="weight of the preference term (λ)",
        json_schema_extra={"search": {"low": 0.01, "high": 10.0, "log": True}},
    )

    @classmethod
    def start(cls) -> OneStepMPO:
        """The start of a search: three networks that are exactly ORPO with λ = 1."""
        return cls(phi="logit", psi_network=added_term(), phi_network=added_term(), g_network=ready_units())

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, nowhere increasing in log π(τ_w), nowhere decreasing in log π(τ_l).
        """
        xp, chosen, rejected = batch.xp, self.logp(batch.chosen), self.logp(batch.rejected)
        reward_chosen, reward_rejected = self.inverse_potentials(xp, chosen, rejected)
        score = self.score(xp, self.beta * (reward_chosen - reward_rejected))
        return -self.cloning(xp, chosen) - self.lam * score
