"""CPO's siblings: cloning plus SimPO's loss, cloning plus IPO's, in one stage and without a reference."""

from __future__ import annotations

from pydantic import Field

from mpobench import Objective
from mpobench.protocols import Array, PreferenceBatch

from .base import CloningWeight, MarginScale, TargetMargin
from .numerics import logistic_loss


class CPOSimPO(Objective):
    """CPO-SimPO: −λ M_w − log σ(β (M_w − M_l) − γ), with M = log π(τ) / |τ|.

    SimPO with the cloning term that it lacks, in one stage: the *SFT+SimPO* of Alfano et al., Table 3. An
    objective of its own, because ``simpo`` stands for a loss without cloning in every comparison. The
    formula fixes the normalisation, so there is no ``reduction``. SimPO's own code has λ as ``sft_weight``,
    TRL as ``cpo_alpha``; both average the cloning term over the tokens of a batch, so that long responses
    weigh more, and this one over those of a response.

    λ = 1 is TRL's, β = 2 and γ = 1 are ``simpo``'s.

    References:
        Xu et al. (2024), CPO-SIMPO, https://github.com/fe1ixxu/CPO_SIMPO.
        Meng et al. (2024), SimPO: Simple Preference Optimization with a Reference-Free Reward,
        arXiv:2405.14734, Eq. 6.
    """

    lam: CloningWeight = 1.0
    beta: MarginScale = 2.0
    gamma: TargetMargin = 1.0

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, decreasing in log π(τ_w) and increasing in log π(τ_l).
        """
        chosen, rejected = batch.chosen.mean, batch.rejected.mean
        return logistic_loss(batch.xp, self.beta * (chosen - rejected) - self.gamma) - self.lam * chosen


class CPOIPO(Objective):
    """CPO with IPO's loss: −λ M_w + (M_w − M_l − 1/(2τ))², with M = log π(τ) / |τ|.

    ``loss_type="ipo"`` of TRL's CPO trainer (there τ is ``beta`` and λ ``cpo_alpha``, and cloning is averaged
    over the tokens of a batch). Its hinge is SLiC-HF: :mod:`~mpobench_objectives.slic` with δ = 1/β, times β.
    λ = 1 is TRL's, τ = 0.1 that of ``ipo``.

    References:
        Azar et al. (2023), A General Theoretical Paradigm to Understand Learning from Human Preferences,
        arXiv:2310.12036, Eq. 17, under a uniform reference.
        Xu et al. (2024), Contrastive Preference Optimization: Pushing the Boundaries of LLM Performance in
        Machine Translation, arXiv:2401.08417.
    """

    lam: CloningWeight = 1.0
    tau: float = Field(
        0.1,
        gt=0,
        description="regularisation (τ): the margin is drawn to 1/(2τ)",
        json_schema_extra={"search": {"low": 0.01, "high": 10.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, convex in the margin.
        """
        chosen, rejected = batch.chosen.mean, batch.rejected.mean
        return (chosen - rejected - 1 / (2 * self.tau)) ** 2 - self.lam * chosen
