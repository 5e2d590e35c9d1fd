"""IPO: a squared loss, so that near-deterministic preferences do not drive the policy to extremes."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import Reduction, ReferencedObjective


class IPO(ReferencedObjective):
    """Identity preference optimization: (Δ − 1/(2τ))², with Δ the log-ratio margin.

    The default ``reduction`` is the mean over tokens, as in the reference implementations (the paper's own
    examples have one step, and leave it open); τ = 0.1 is their default, and among the paper's values.

    References:
        Azar et al. (2023), A General Theoretical Paradigm to Understand Learning from Human Preferences,
        arXiv:2310.12036, Eq. 17.
    """

    reduction: Reduction = "mean"
    tau: float = Field(
        0.1,
        gt=0,
        description="regularisation (τ): the margin is drawn to 1/(2τ)",
        json_schema_extra={"search": {"low": 0.01, "high": 10.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0, and 0 where Δ = 1/(2τ).
        """
        return (self.log_ratio_margin(batch) - 1 / (2 * self.tau)) ** 2
