"""KTO: utility as people feel it, gains and losses against a reference point, and losses more."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import detached, relu, sigmoid


class KTO(ReferencedObjective):
    """Kahneman-Tversky optimization on pairs: λ_D (1 − σ(β (r_w − z))) + λ_U (1 − σ(β (z − r_l))).

    Here r = log π(τ)/π_ref(τ), chosen sides are the desirable and rejected ones the undesirable examples, and
    z is the reference point, an estimate of KL(π ‖ π_ref) that carries no gradient and is at least 0. What
    it is estimated from differs:

    - the paper, its code HALOs and TRL's KTO trainer average r over *mismatched* sequences, each prompt with
      another prompt's response. They cost a second forward pass, and a batch of pairs has none;
    - TRL's former ``kto_pair``, after HALOs' first version, has two points: the chosen side is compared
      with the rejected sides' mean r, the rejected one with the chosen sides', with gradients;
    - here z = max(0, mean of r over all sequences of the batch, chosen and rejected), which is TRL's loss for
      these sequences in the place of the mismatched ones.

    The loss of a pair is the sum of its two sides; TRL averages over sequences, and has half of it. The
    default ``reduction`` is the published sum; β = 0.1 and λ_D = λ_U = 1 are the paper's.

    References:
        Ethayarajh et al. (2024), KTO: Model Alignment as Prospect Theoretic Optimization,
        arXiv:2402.01306, §4. Batch size: https://github.com/ContextualAI/HALOs, config/model/base_model.yaml
        ("effective batch size should be 32 for best results").
    """

    beta: Beta = 0.1
    desirable: float = Field(
        1.0,
        ge=0,
        description="weight of the chosen side (λ_D)",
        json_schema_extra={"search": {"low": 0.1, "high": 10.0, "log": True}},
    )
    undesirable: float = Field(
        1.0,
        ge=0,
        description="weight of the rejected side (λ_U)",
        json_schema_extra={"search": {"low": 0.1, "high": 10.0, "log": True}},
    )

    @property
    def min_pairs(self) -> int:
        """The reference point is a mean over the batch: of 32 sequences, that is 16 pairs, in the authors' code."""
        return 16

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included; each pair's loss depends on the others through z.

        Returns:
            ``(pairs,)``, between 0 and λ_D + λ_U; for a fixed z decreasing in r_w and increasing in r_l.
        """
        xp, (chosen, rejected) = batch.xp, self.log_ratios(batch)
        point = detached(xp, relu(xp, (xp.mean(chosen) + xp.mean(rejected)) / 2))
        loss_of_chosen = sigmoid(xp, self.beta * (point - chosen))
        loss_of_rejected = sigmoid(xp, self.beta * (rejected - point))
        return self.desirable * loss_of_chosen + self.undesirable * loss_of_rejected
