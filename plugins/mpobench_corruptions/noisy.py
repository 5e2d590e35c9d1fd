"""Labels flipped at random, whatever the returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mpobench import DatasetCorruption

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Noisy(DatasetCorruption):
    """Each of the judge's labels is flipped with probability ``rate``, independently of everything else.

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, §4.1 (*noisy*, ε).
    """

    rate: float = Field(ge=0, le=1, description="probability that a label is flipped", examples=[0.1])

    def flip(self, pairs: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """The labels that are swapped: ``(pairs,)`` booleans, each true with probability ``rate``.

        With one seed, the labels flipped at a low rate are flipped at every higher rate too: two rates
        differ by the added noise alone.
        """
        flips: NDArray[np.bool_] = rng.random(pairs) < self.rate
        return flips
