"""f-DPO: DPO with another divergence from the reference than the reverse KL."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import box_cox, log_sigmoid, logistic_loss

Divergence: TypeAlias = Literal["jensen_shannon", "forward_kl", "reverse_kl", "alpha"]


class FDPO(ReferencedObjective):
    """DPO under an f-divergence: −log σ(β f′(u_w) − β f′(u_l)), with u = π(τ)/π_ref(τ).

    Up to constants, which cancel, f′(u) is

    - ``jensen_shannon``: log(2u/(1 + u)), which flattens above the reference;
    - ``forward_kl``: −1/u, which covers every mode of the reference;
    - ``reverse_kl``: log u, which is DPO;
    - ``alpha``: (1 − u^(−α))/α, from reverse KL at α = 0 to forward KL at α = 1.

    The default divergence is the one in the benchmark's paper (Table 5), and ``reduction`` the published sum.
    TRL's ``f_alpha_divergence_coef`` is 1 − α; both defaults are ½. Powers of u overflow in float32 long
    before log u does: they go on along their tangent in log u from e³⁰, where TRL's α-divergence is cut off
    at e⁸⁰ and loses its gradient, and its forward KL overflows.

    References:
        Wang et al. (2023), Beyond Reverse KL: Generalizing Direct Preference Optimization with Diverse
        Divergence Constraints, arXiv:2309.16240, Table 1.
    """

    divergence: Divergence = Field("jensen_shannon", description="from the reference policy (f)")
    beta: Beta = 0.1
    alpha: float = Field(
        0.5,
        ge=0,
        le=1,
        description="order of the alpha divergence (α), which the others do not read",
        json_schema_extra={"search": {"low": 0.1, "high": 0.9, "log": False}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0, decreasing in log π(τ_w) and increasing in log π(τ_l).
        """
        xp = batch.xp
        chosen, rejected = (self.reward(xp, log_ratio) for log_ratio in self.log_ratios(batch))
        return logistic_loss(xp, self.beta * (chosen - rejected))

    def reward(self, xp: Any, log_ratio: Array) -> Array:
        """``(pairs,)``: f′(u) up to a constant, from log u."""
        if self.divergence == "jensen_shannon":
            return log_sigmoid(xp, log_ratio)
        if self.divergence == "reverse_kl":
            return log_ratio
        return box_cox(xp, log_ratio, -1 if self.divergence == "forward_kl" else -self.alpha)
