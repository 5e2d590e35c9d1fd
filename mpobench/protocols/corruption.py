"""Dataset corruptions: three decisions about preference pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpobench.protocols.component import Component

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ORIGINAL = 0
"""Of the two agents that generate a pair, the one that a policy starts from."""

TARGET = 1
"""Of the two agents that generate a pair, the one to learn."""

CLEAN = "base"
"""Reserved name of the corruption that changes nothing: the default of a run, and the first column of tables."""


class DatasetCorruption(Component):
    """Three decisions about a preference dataset.

    The defaults are the paper's *base* dataset (§4.1). A subclass overrides the decisions that it corrupts;
    ``+`` adds corruptions that decide different things (``mixed+noisy:0.1``).
    """

    def sources(self, pairs: int, rng: np.random.Generator) -> NDArray[np.int8]:
        """The agent that generates each side of each pair.

        Returns:
            ``(pairs, 2)``, each entry ``ORIGINAL`` or ``TARGET``. Default: one of each.
        """
        import numpy as np

        return np.tile(np.array([ORIGINAL, TARGET], dtype=np.int8), (pairs, 1))

    def preference(self, returns: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability that the judge prefers the first side.

        Args:
            returns: ``(pairs, 2)``, true returns of the two sides.

        Returns:
            ``(pairs,)`` probabilities. Default: Bradley-Terry at temperature 1 (Eq. 2).
        """
        from scipy.special import expit

        probability: NDArray[np.float64] = expit(returns[:, 0] - returns[:, 1])
        return probability

    def flip(self, pairs: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """The labels that are swapped after the judge's decision.

        Returns:
            ``(pairs,)`` booleans. Default: none.
        """
        import numpy as np

        return np.zeros(pairs, dtype=np.bool_)
