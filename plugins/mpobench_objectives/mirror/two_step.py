"""2S-MPO: DPO through any mirror map."""

from __future__ import annotations

from typing import ClassVar

from mpobench.protocols import Array, PreferenceBatch

from .base import MirrorObjective
from .weights import added_term, ready_units


class TwoStepMPO(MirrorObjective):
    """Two-step mirror preference optimization, −g(β (r(τ_w) − r(τ_l))) with r(τ) = φ⁻¹(π(τ)) − φ⁻¹(π_ref(τ)).

    ``phi="log"``, the inverse of φ = exp, with g = log σ is DPO. β scales all four terms, as in Theorem 3.1: the
    closing parenthesis after the second of them in Eq. 10 is a slip of the paper's.

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, Eq. 10 and Theorem 3.1.
    """

    needs_reference: ClassVar[bool] = True

    @classmethod
    def start(cls) -> TwoStepMPO:
        """The start of a search: two networks that are DPO with β = 1 for small π, whose logit is their logarithm.

        The difference is −log(1 − π), 3·10⁻⁴ nats at log π = −8. The network's own log unit would be exact, but under
        any other bias than 0 it is flat for small π: no neighbour of that start would learn from preferences.
        """
        return cls(phi_network=added_term(), g_network=ready_units())

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, nowhere increasing in log π(τ_w), nowhere decreasing in log π(τ_l).
        """
        sides = (batch.chosen, batch.rejected, *batch.reference)
        chosen, rejected, reference_chosen, reference_rejected = self.inverse_potentials(
            batch.xp, *(self.logp(side) for side in sides)
        )
        margin = (chosen - reference_chosen) - (rejected - reference_rejected)
        return -self.score(batch.xp, self.beta * margin)
