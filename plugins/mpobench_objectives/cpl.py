"""CPL: preferences by regret, so that log π is the advantage itself and needs no reference."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import ReducedObjective
from .numerics import logistic_loss


class CPL(ReducedObjective):
    """Contrastive preference learning: −log σ(α log π(τ_w) − λ α log π(τ_l)).

    λ < 1 is the conservative bias: of two policies with the same margin, the one that makes the data likelier
    has the lower loss, so that likelihood does not leak to actions out of the data. λ = 1 is the unbiased
    loss, DPO under a uniform reference. The paper discounts the steps; its implementation does not, nor
    does this one, which sees sums.

    The default ``reduction`` is the published sum, over segments of 64 steps there. α = 0.1 and λ = 0.5 are
    those of the paper's control tasks; it has no language models. As there, training begins with cloning.

    References:
        Hejna et al. (2024), Contrastive Preference Learning: Learning from Human Feedback without RL,
        arXiv:2310.13639, Eq. 5-6.
    """

    alpha: float = Field(
        0.1,
        gt=0,
        description="temperature of the regret (α)",
        json_schema_extra={"search": {"low": 0.01, "high": 100.0, "log": True}},
    )
    lam: float = Field(
        0.5,
        gt=0,
        le=1,
        description="weight of the rejected side, conservative below 1 (λ)",
        json_schema_extra={"search": {"low": 0.1, "high": 1.0, "log": True}},
    )
    sft_first: bool = Field(True, description="whether training begins with an SFT stage")

    @property
    def two_stage(self) -> bool:
        """Whether training begins with an SFT stage: a choice here, for lack of a reference."""
        return self.sft_first

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, at least 0, decreasing in log π(τ_w) and increasing in log π(τ_l).
        """
        chosen, rejected = self.logp(batch.chosen), self.logp(batch.rejected)
        return logistic_loss(batch.xp, self.alpha * chosen - self.lam * self.alpha * rejected)
