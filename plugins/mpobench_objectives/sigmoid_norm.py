"""Length-normalised DPO: log-ratios per token, so that long responses do not win by being long."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mpobench import Objective
from mpobench.protocols import Array, PreferenceBatch

from .numerics import logistic_loss


class SigmoidNorm(Objective):
    """Length-normalised DPO: −log σ(β (r_w/|τ_w| − r_l/|τ_l|)), with r = log π(τ)/π_ref(τ).

    This is :mod:`~mpobench_objectives.dpo` with ``reduction=mean``, under the name that TRL gives it and with
    the β that goes with means; the formula fixes the normalisation, so there is no ``reduction``. β = 5 is
    that of Tülu 3.

    References:
        Lambert et al. (2024), Tulu 3: Pushing Frontiers in Open Language Model Post-Training,
        arXiv:2411.15124 (length-normalised DPO).
    """

    needs_reference: ClassVar[bool] = True

    beta: float = Field(
        5.0,
        gt=0,
        description="strength of the pull towards the reference policy, per step or token (β)",
        json_schema_extra={"search": {"low": 0.1, "high": 100.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0, decreasing in the margin of the log-ratios' means.
        """
        reference_chosen, reference_rejected = batch.reference
        chosen = batch.chosen.mean - reference_chosen.mean
        rejected = batch.rejected.mean - reference_rejected.mean
        return logistic_loss(batch.xp, self.beta * (chosen - rejected))
