"""DiscoPOP: a blend of logistic and exponential loss that a language model wrote."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import log_sigmoid, logistic_loss, sigmoid


class DiscoPOP(ReferencedObjective):
    """The log-ratio modulated loss: (1 − σ(x/τ)) ℓ(x) + σ(x/τ) e⁻ˣ, with x = β Δ and ℓ(x) = −log σ(x).

    Logistic where the pair is misranked, exponential where it is not. Around x = 0 the blend has a hump: from
    about −2.4 τ to 1.4 τ (at the default τ) the loss rises, so that it is neither convex nor monotone. τ < 1 is
    needed, because e⁻ˣ σ(x/τ) grows without bound for x → −∞ otherwise. The default ``reduction`` is DPO's sum;
    β = 0.05 and τ = 0.05 are the paper's (TRL's default β is 0.1).

    References:
        Lu et al. (2024), Discovering Preference Optimization Algorithms with and for Large Language Models,
        arXiv:2406.08414, Eq. 5.
    """

    beta: Beta = 0.05
    tau: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="width of the change from the logistic to the exponential loss (τ)",
        json_schema_extra={"search": {"low": 0.01, "high": 0.5, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0.
        """
        xp, margin = batch.xp, self.beta * self.log_ratio_margin(batch)
        gate = margin / self.tau
        # One exponent for the product: e⁻ˣ alone overflows where the gate is closed.
        exponential = xp.exp(log_sigmoid(xp, gate) - margin)
        return sigmoid(xp, -gate) * logistic_loss(xp, margin) + exponential
