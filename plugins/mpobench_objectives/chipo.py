"""χPO: one more term in DPO's link, and the divergence from the reference counts in χ² instead of KL."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import as_array_like, exponential, logistic_loss


class ChiPO(ReferencedObjective):
    """χ²-preference optimization: −log σ(clip(β φ(u_w) − β φ(u_l), ±2R)), φ(u) = u + log u, u = π(τ)/π_ref(τ).

    A policy that does what the reference rarely does pays for it linearly in u, not in log u, which is what
    keeps it from over-optimizing on few data. Far below the reference (u → 0) this is DPO. The clip at twice
    the largest reward R is the algorithm's own: pairs beyond it have no gradient. u overflows long before
    log u does, and goes on along its tangent in log u from e³⁰.

    The default ``reduction`` is the published sum. β = 0.05 is the larger of the paper's two; R is not
    known for language models; 10 touches only pairs whose scaled margin is beyond 20 nats either way.

    References:
        Huang et al. (2024), Correcting the Mythos of KL-Regularization: Direct Alignment without
        Overoptimization via Chi-Squared Preference Optimization, arXiv:2407.13399, Algorithm 1.
    """

    beta: Beta = 0.05
    r_max: float = Field(
        10.0,
        gt=0,
        description="largest reward (R): the margin is clipped at ±2R",
        json_schema_extra={"search": {"low": 1.0, "high": 100.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0 and at most about 2R, not increasing in log π(τ_w), not decreasing in
            log π(τ_l).
        """
        xp = batch.xp
        chosen, rejected = (exponential(xp, log_ratio) + log_ratio for log_ratio in self.log_ratios(batch))
        margin = self.beta * (chosen - rejected)
        bound = as_array_like(xp, 2 * self.r_max, margin)
        return logistic_loss(xp, xp.minimum(xp.maximum(margin, -bound), bound))
