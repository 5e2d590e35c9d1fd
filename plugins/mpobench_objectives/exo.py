"""EXO: match the pair's preference distribution in reverse KL, which seeks a mode where DPO covers both."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import as_array_like, log_sigmoid, sigmoid


class EXOPair(ReferencedObjective):
    """Efficient exact optimization on pairs: KL((q, 1 − q) ‖ (1 − ε, ε)), with q = σ(β Δ).

    Written out, q (log q − log(1 − ε)) + (1 − q)(log(1 − q) − log ε): the policy's distribution over the
    pair against the judge's label, smoothed by ε because a hard one has infinite divergence. DPO smoothed
    alike is the same divergence the other way round. The loss saturates on both ends, and is least at
    β Δ = log((1 − ε)/ε): it is not monotone. The default ``reduction`` is the published sum; ε = 10⁻³ is the
    paper's, and β = 0.1 TRL's, for the paper's β_π (the label takes the place of its β_r).

    References:
        Ji et al. (2024), Towards Efficient Exact Optimization of Language Model Alignment,
        arXiv:2402.00856, Eq. 16.
    """

    beta: Beta = 0.1
    epsilon: float = Field(
        1e-3,
        gt=0,
        lt=0.5,
        description="smoothing of the judge's label (ε)",
        json_schema_extra={"search": {"low": 1e-4, "high": 0.4, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, between 0 and −log ε, and 0 where β Δ = log((1 − ε)/ε).
        """
        xp, margin = batch.xp, self.beta * self.log_ratio_margin(batch)
        epsilon = as_array_like(xp, self.epsilon, margin)
        right = sigmoid(xp, margin) * (log_sigmoid(xp, margin) - xp.log1p(-epsilon))
        wrong = sigmoid(xp, -margin) * (log_sigmoid(xp, -margin) - xp.log(epsilon))
        return right + wrong
