"""A polynomial of the margin plus cloning: the short form in which a discovered network can be written down."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import ReducedObjective, Reduction
from .numerics import as_array_like

Coefficient: TypeAlias = Annotated[
    float, Field(ge=-1e6, le=1e6, json_schema_extra={"search": {"low": -1.0, "high": 1.0, "log": False}})
]


class MPOPolynomial(ReducedObjective):
    """Cloning and a polynomial of the margin: −α log π(τ_w) − P(d) with d = log π(τ_w) − log π(τ_l).

    P(d) = c₁ d + c₂ d² + c₃ d³ + c₄ d⁴ + c₅ d⁵ for d between ``low`` and ``high``, and goes on along its tangent
    beyond them: there a pair keeps the slope of the nearer end. Between them the polynomial is what it was fitted
    to; beyond them it would be what its highest power is, which at the margins of a training's first steps, tens of
    nats, outweighs cloning a thousand times, and may turn around. ``mpobench discover distil`` writes these numbers.

    The defaults are the paper's cubic, :class:`~mpobench_objectives.mpo_simplified.MPOMixed`, at margins within
    10⁴ nats, and like there the default ``reduction`` is the mean over steps. LPO is the case of c₁ alone, with
    λ = (α + c₁)/c₁. Other coefficients need not make P increasing.

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, Appendix I.2 (that discovered objectives
        have such simplified expressions).
    """

    reduction: Reduction = "mean"
    alpha: float = Field(
        0.82,
        ge=0,
        description="weight of the cloning term (α)",
        json_schema_extra={"search": {"low": 0.01, "high": 10.0, "log": True}},
    )
    c1: Coefficient = Field(1.7, description="coefficient of the margin d (c₁)")
    c2: Coefficient = Field(0.33, description="coefficient of d² (c₂)")
    c3: Coefficient = Field(0.36, description="coefficient of d³ (c₃)")
    c4: Coefficient = Field(0.0, description="coefficient of d⁴ (c₄)")
    c5: Coefficient = Field(0.0, description="coefficient of d⁵ (c₅)")
    low: float = Field(
        -1e4,
        ge=-1e4,
        le=0,
        description="margin below which the polynomial goes on along its tangent",
        json_schema_extra={"search": {"low": -10.0, "high": -0.5, "log": False}},
    )
    high: float = Field(
        1e4,
        ge=0,
        le=1e4,
        description="margin above which it does",
        json_schema_extra={"search": {"low": 0.5, "high": 10.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, decreasing in log π(τ_w) and increasing in log π(τ_l) where P increases.
        """
        chosen, rejected = self.logp(batch.chosen), self.logp(batch.rejected)
        return -self.alpha * chosen - self.score(batch.xp, chosen - rejected)

    def score(self, xp: Any, margin: Array) -> Array:
        """P of a margin, ``(pairs,)``, along its tangents beyond ``low`` and ``high``."""
        low, high = (as_array_like(xp, end, margin) for end in (self.low, self.high))
        d = xp.minimum(xp.maximum(margin, low), high)
        value = (self.c1 + (self.c2 + (self.c3 + (self.c4 + self.c5 * d) * d) * d) * d) * d
        slope = self.c1 + (2 * self.c2 + (3 * self.c3 + (4 * self.c4 + 5 * self.c5 * d) * d) * d) * d
        return value + slope * (margin - d)
