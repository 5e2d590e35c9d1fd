"""cDPO: DPO on labels that may be wrong, each smoothed towards its opposite."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import logistic_loss


class CDPO(ReferencedObjective):
    """Conservative DPO: −(1 − ε) log σ(β Δ) − ε log σ(−β Δ), with Δ the log-ratio margin.

    The cross-entropy to a label that is right with probability 1 − ε. It is least where σ(β Δ) = 1 − ε, so
    that the policy stops there; at ε = 0 this is DPO. :mod:`~mpobench_objectives.robust_dpo` answers the
    same noise without a stop. The default ``reduction`` is DPO's sum; ε = 0.1 is the value of the comparison
    in Chowdhury et al. (2024). TRL 1 calls ε ``label_smoothing``, and has it in its CPO trainer only, where
    the reference is uniform.

    References:
        Mitchell (2023), A note on DPO with noisy preferences and relationship to IPO.
        Chowdhury et al. (2024), Provably Robust DPO, arXiv:2403.00409, §3.
    """

    beta: Beta = 0.1
    epsilon: float = Field(
        0.1,
        ge=0,
        lt=0.5,
        description="share of labels that are taken to be wrong (ε)",
        json_schema_extra={"search": {"low": 0.01, "high": 0.4, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0, convex in Δ, and least where β Δ = log((1 − ε)/ε).
        """
        xp, margin = batch.xp, self.beta * self.log_ratio_margin(batch)
        right, wrong = logistic_loss(xp, margin), logistic_loss(xp, -margin)
        return (1 - self.epsilon) * right + self.epsilon * wrong
