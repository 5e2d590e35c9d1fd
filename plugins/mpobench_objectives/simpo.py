"""SimPO: the mean log-probability as reward, with a margin to reach and no reference."""

from __future__ import annotations

from pydantic import Field

from mpobench import Objective
from mpobench.protocols import Array, PreferenceBatch

from .base import MarginScale, TargetMargin
from .numerics import logistic_loss


class SimPO(Objective):
    """Simple preference optimization: −log σ(β (M_w − M_l) − γ), with M = log π(τ) / |τ|.

    The formula fixes the normalisation, so there is no ``reduction``. γ is absolute, as in the formula, not
    relative to β. The loss needs no reference, but the policy needs a start: the paper begins from an SFT
    model, so ``sft_first`` is on by default. β = 2 and γ = 1 lie in the paper's search ranges.

    References:
        Meng et al. (2024), SimPO: Simple Preference Optimization with a Reference-Free Reward,
        arXiv:2405.14734, Eq. 6.
    """

    beta: MarginScale = 2.0
    gamma: TargetMargin = 1.0
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
            ``(pairs,)``, at least 0, decreasing in M_w − M_l.
        """
        margin = batch.chosen.mean - batch.rejected.mean
        return logistic_loss(batch.xp, self.beta * margin - self.gamma)
