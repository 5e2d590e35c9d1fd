"""Log-probabilities that a loss reads: sums or means, alone or relative to a reference policy."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from mpobench import Objective
from mpobench.protocols import Array, PreferenceBatch, SequenceLogps

Reduction: TypeAlias = Annotated[
    Literal["sum", "mean"],
    Field(description="log π(τ) is the sum over the steps or tokens of τ, or their mean"),
]

Beta: TypeAlias = Annotated[
    float,
    Field(
        gt=0,
        description="strength of the pull towards the reference policy (β)",
        json_schema_extra={"search": {"low": 1e-4, "high": 1e3, "log": True}},
    ),
]

MarginScale: TypeAlias = Annotated[
    float,
    Field(
        gt=0,
        description="scale of the margin (β)",
        json_schema_extra={"search": {"low": 1e-3, "high": 1e3, "log": True}},
    ),
]

TargetMargin: TypeAlias = Annotated[
    float,
    Field(
        ge=0,
        description="target margin after scaling (γ)",
        json_schema_extra={"search": {"low": 0.01, "high": 100.0, "log": True}},
    ),
]

CloningWeight: TypeAlias = Annotated[
    float,
    Field(
        ge=0,
        description="weight of the cloning term (λ)",
        json_schema_extra={"search": {"low": 0.01, "high": 100.0, "log": True}},
    ),
]


class ReducedObjective(Objective):
    """A loss on log π(τ), where the literature disagrees whether that is a sum or a mean.

    A subclass sets the default of ``reduction`` to what its paper or reference implementation does on
    language models. An environment of long sequences, such as a thousand control steps, sets ``mean``.
    """

    reduction: Reduction = "sum"

    def logp(self, side: SequenceLogps) -> Array:
        """``(pairs,)``: log π(τ) of one side, in nats, or in nats per step."""
        return side.total if self.reduction == "sum" else side.mean


class ReferencedObjective(ReducedObjective):
    """A loss on log-ratios to a reference policy, the one at the end of an SFT stage."""

    needs_reference: ClassVar[bool] = True

    def log_ratios(self, batch: PreferenceBatch) -> tuple[Array, Array]:
        """Two of ``(pairs,)``: log π(τ)/π_ref(τ) of the chosen and of the rejected side.

        Raises:
            ValueError: If the batch carries no reference.
        """
        chosen, rejected = batch.reference
        return self.logp(batch.chosen) - self.logp(chosen), self.logp(batch.rejected) - self.logp(rejected)

    def log_ratio_margin(self, batch: PreferenceBatch) -> Array:
        """``(pairs,)``: Δ = log π(τ_w)/π_ref(τ_w) − log π(τ_l)/π_ref(τ_l).

        Raises:
            ValueError: If the batch carries no reference.
        """
        # Ratios first: the sums may be in the thousands, and their small changes are what counts.
        chosen, rejected = self.log_ratios(batch)
        return chosen - rejected
