"""An objective: one class, written once for jax, torch and numpy."""

from __future__ import annotations

from pydantic import Field

from mpobench import Objective, PreferenceBatch
from mpobench.protocols import Array


class Logistic(Objective):
    """−log σ(β (M_w − M_l)), M = log π(τ) / |τ|: the logistic loss on the margin of means."""

    beta: float = Field(
        1.0,
        gt=0,
        description="slope",
        json_schema_extra={"search": {"low": 0.1, "high": 10.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """``(pairs,)``, in the array library of the batch."""
        margin = batch.chosen.mean - batch.rejected.mean
        return batch.xp.logaddexp(batch.xp.zeros_like(margin), -self.beta * margin)
