"""An example plugin: the objective ``logistic`` and the corruption ``lazy-judge``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from mpobench import (
    CorruptionCard,
    DatasetCorruption,
    Objective,
    ObjectiveCard,
    PreferenceBatch,
    hookimpl,
)


class Logistic(Objective):
    """Logistic loss on the mean log-probability margin: log(1 + exp(−β (M_w − M_l)))."""

    beta: float = Field(1.0, gt=0, description="slope")

    def loss(self, batch: PreferenceBatch) -> Any:
        """``(pairs,)``, in the array library of the batch: jax, torch and numpy all work."""
        margin = batch.chosen.mean - batch.rejected.mean
        return batch.xp.logaddexp(batch.xp.zeros_like(margin), -self.beta * margin)


class LazyJudge(DatasetCorruption):
    """A judge who tosses a coin for a share of the pairs, and judges the others by their true returns."""

    rate: float = Field(ge=0, le=1, description="share of pairs decided by a coin")

    def preference(self, returns: Any) -> Any:
        """``(pairs,)``: how likely the judge is to prefer the first side, from returns ``(pairs, 2)``."""
        return (1 - self.rate) * super().preference(returns) + self.rate * 0.5


@hookimpl
def mpobench_objectives() -> Iterable[ObjectiveCard]:
    """The objective of this plugin."""
    yield ObjectiveCard(
        name="logistic", summary="Logistic loss on the margin", target="mpobench_example:Logistic"
    )


@hookimpl
def mpobench_corruptions() -> Iterable[CorruptionCard]:
    """The corruption of this plugin."""
    yield CorruptionCard(
        name="lazy-judge",
        summary="The judge tosses a coin for a share RATE of the pairs",
        target="mpobench_example:LazyJudge",
        positional="rate",
    )
