"""TA-MPO: from cloning to preferences in the course of one training."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field

from mpobench.protocols import Array, LearnableFunction, PreferenceBatch, Tensors

from .base import MarginScale, TargetMargin
from .mirror import network
from .mirror.base import CloningMirrorObjective
from .mirror.weights import LOG, NON_NEGATIVE, SQUARE, TANH, added_term, one_unit, ready_units
from .numerics import as_array_like

Schedule: TypeAlias = Literal["linear", "quadratic", "sigmoid"]

ALPHA = LearnableFunction(
    "schedule_network",
    r"$\alpha(t)$",
    "progress",
    lambda objective, xp, t: objective.preference_weight(xp, t),
    shifted=False,
    non_negative=NON_NEGATIVE,
)


class TAMPO(CloningMirrorObjective):
    """Temporally-aware mirror preference optimization.

    The loss is −(1 − α(t)) ψ(π(τ_w)) − α(t) g(β (φ⁻¹(π(τ_w)) − φ⁻¹(π(τ_l))) − γ), where t is
    ``batch.progress`` and α(t) = t, t² or σ(20 (t − 0.75)). One stage, no reference. With the defaults ψ = φ⁻¹ = log
    and g = log σ this is Eq. 13, which moves from cloning to SimPO; β and γ, SimPO's own, belong to the g of Eq. 12.

    The default ``reduction`` is the mean, as SimPO's. The default schedule is the quadratic one, which in the
    paper's control tasks matches or surpasses all losses designed by hand; on language models the sigmoid one
    did best. A ``schedule_network`` is any increasing α with α(0) = 0 and α(1) = 1.

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, Eq. 12 and 13.
    """

    schedule: Schedule = Field("quadratic", description="how the weight of the preference term grows (α(t))")
    beta: MarginScale = 2.0
    gamma: TargetMargin = 1.0
    schedule_network: Tensors | None = Field(None, description="weights of a network in place of schedule")

    @classmethod
    def start(cls) -> TAMPO:
        """The start of a search: four networks that are Eq. 13 with β = 1, γ = 0 and α(t) = t², for small π.

        As of 2S-MPO, φ⁻¹ is the logit in place of the logarithm.
        """
        return cls(
            beta=1.0,
            gamma=0.0,
            psi_network=added_term(),
            phi_network=added_term(),
            g_network=ready_units(),
            schedule_network=one_unit(SQUARE),
        )

    @classmethod
    def learnable_functions(cls) -> tuple[LearnableFunction, ...]:
        """Those of φ⁻¹, ψ, g and α."""
        return (*super().learnable_functions(), ALPHA)

    def as_networks(self) -> TAMPO:
        """The same loss on means, for log π above −62, as four networks: a place for a search to begin.

        The sigmoid schedule is moved and scaled a little, so that it runs from 0 to 1.

        Raises:
            ValueError: If φ⁻¹, ψ or g is another closed form than its default, or a network.
        """
        other = {"phi", "psi", "g", "phi_network", "psi_network", "g_network", "schedule_network"}
        if changed := sorted(
            name for name in other if getattr(self, name) != type(self).model_fields[name].default
        ):
            raise ValueError(f"leave out {', '.join(changed)}")
        schedules = {
            "linear": added_term(),
            "quadratic": one_unit(SQUARE),
            "sigmoid": one_unit(TANH, 10, -7.5),
        }
        return TAMPO(
            beta=self.beta,
            gamma=self.gamma,
            psi_network=added_term(),
            phi_network=one_unit(LOG),
            g_network=ready_units(),
            schedule_network=schedules[self.schedule],
        )

    def preference_weight(self, xp: Any, t: Array) -> Array:
        """α(t): how far the loss has moved from cloning to preferences after share ``t`` ``(pairs,)`` of training."""
        if self.schedule_network is not None:
            return network.schedule(xp, self.schedule_network, t)
        if self.schedule == "linear":
            return t
        if self.schedule == "quadratic":
            return t**2
        return 1 / (1 + xp.exp(-20 * (t - 0.75)))

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; ``progress`` is read, and the reference is not.

        Returns:
            ``(pairs,)``, nowhere increasing in log π(τ_w), nowhere decreasing in log π(τ_l).
        """
        xp, chosen, rejected = batch.xp, self.logp(batch.chosen), self.logp(batch.rejected)
        alpha = self.preference_weight(xp, as_array_like(xp, batch.progress, chosen))
        reward_chosen, reward_rejected = self.inverse_potentials(xp, chosen, rejected)
        preference = self.score(xp, self.beta * (reward_chosen - reward_rejected) - self.gamma)
        return -(1 - alpha) * self.cloning(xp, chosen) - alpha * preference
