"""SLiC-HF: a hinge on the sequence log-likelihoods, and a cloning term."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import CloningWeight, ReducedObjective
from .numerics import relu


class SLiC(ReducedObjective):
    """Sequence likelihood calibration: −λ log π(τ_w) + max(0, δ − log π(τ_w) + log π(τ_l)).

    One stage, no reference. The default ``reduction`` is the published sum over tokens, under which δ is in
    nats per sequence; δ = 1 and λ = 1 lie in the middle of the comparison of Meng et al. (2024).

    References:
        Zhao et al. (2023), SLiC-HF: Sequence Likelihood Calibration with Human Feedback, arXiv:2305.10425;
        with the chosen side as the regularisation target, as in Alfano et al., Table 4.
    """

    delta: float = Field(
        1.0,
        ge=0,
        description="margin beyond which the hinge is silent (δ)",
        json_schema_extra={"search": {"low": 0.1, "high": 100.0, "log": True}},
    )
    lam: CloningWeight = 1.0

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, convex and decreasing in log π(τ_w), not decreasing in log π(τ_l).
        """
        chosen, rejected = self.logp(batch.chosen), self.logp(batch.rejected)
        return relu(batch.xp, self.delta - (chosen - rejected)) - self.lam * chosen
