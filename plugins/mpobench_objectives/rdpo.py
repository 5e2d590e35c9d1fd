"""R-DPO: DPO that does not mistake length for quality."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import as_array_like, logistic_loss


class RDPO(ReferencedObjective):
    """Length-regularised DPO: −log σ(β Δ + α (|τ_w| − |τ_l|)), with Δ the log-ratio margin.

    A pair whose chosen side is the longer one is already half won, and moves the policy less; at equal
    lengths this is DPO. The default ``reduction`` is the published sum; lengths are in steps or tokens
    under either reduction, so α must shrink where they differ by hundreds. β = 0.1 is DPO's, α = 0.05 the
    smallest value in the comparison of Meng et al. (2024).

    References:
        Park et al. (2024), Disentangling Length from Quality in Direct Preference Optimization,
        arXiv:2403.19159.
    """

    beta: Beta = 0.1
    alpha: float = Field(
        0.05,
        ge=0,
        description="reward taken from the longer side, per step or token (α)",
        json_schema_extra={"search": {"low": 0.001, "high": 1.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0, decreasing in Δ and in |τ_w| − |τ_l|.
        """
        margin = self.log_ratio_margin(batch)
        longer = as_array_like(batch.xp, batch.chosen.length - batch.rejected.length, margin)
        return logistic_loss(batch.xp, self.beta * margin + self.alpha * longer)
