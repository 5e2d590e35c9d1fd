"""A judge whose errors depend on how close the two returns are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mpobench import DatasetCorruption

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class BadJudge(DatasetCorruption):
    """A Bradley-Terry judge at a raised temperature: P(first preferred) = σ((R₁ − R₂) / temperature).

    Unlike noise at a fixed rate, errors are likelier the closer the returns: at a difference of one
    ``temperature`` the judge errs in 27 % of the cases, at three in 5 %. Temperature 1 is the base judge.

    References:
        Bradley & Terry (1952), Rank Analysis of Incomplete Block Designs.
        Alfano et al., Meta-Learning Objectives for Preference Optimization, Eq. 2, appendix I.4.
    """

    temperature: float = Field(gt=0, description="temperature in units of the return", examples=[500.0])

    def preference(self, returns: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability that the judge prefers the first side.

        Args:
            returns: ``(pairs, 2)``, true returns of the two sides.

        Returns:
            ``(pairs,)`` probabilities; 0 and 1 where the difference exceeds what a float can tell.
        """
        import numpy as np
        from scipy.special import expit

        with np.errstate(over="ignore"):  # a difference of ±inf temperatures is a judge without doubt
            difference = (returns[:, 0] - returns[:, 1]) / self.temperature
        probability: NDArray[np.float64] = expit(difference)
        return probability
