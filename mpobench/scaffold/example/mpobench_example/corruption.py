"""A corruption: it overrides one decision about the pairs, here the judge's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mpobench import DatasetCorruption

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class LazyJudge(DatasetCorruption):
    """A judge who tosses a coin for a share of the pairs, and judges the others by their true returns."""

    rate: float = Field(ge=0, le=1, description="share of pairs decided by a coin", examples=[0.2])

    def preference(self, returns: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(pairs,)``: the probability that the judge prefers the first side, from returns ``(pairs, 2)``."""
        return (1 - self.rate) * super().preference(returns) + self.rate * 0.5
