"""The pairs of a dataset as points of the plane: their log-probabilities under the cloned policy."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpobench import RequestError, Workspace
from mpobench.env_kit.pair_logps import HasPairLogps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mpobench.planning.cells import Training


@dataclass(frozen=True)
class Points:
    """Pairs of a dataset.

    Attributes:
        chosen: ``(points,)``, log π(τ_w) under the reference policy, in nats per step.
        rejected: ``(points,)``, log π(τ_l), likewise.
        dataset: Name of the dataset, for people.
    """

    chosen: NDArray[np.float64]
    rejected: NDArray[np.float64]
    dataset: str

    def label(self, span: tuple[float, float]) -> str:
        """Label with the number of pairs whose log-probabilities both lie in a range."""
        low, high = span
        pairs = list(zip(self.chosen.tolist(), self.rejected.tolist(), strict=True))
        seen = sum(low <= min(pair) and max(pair) <= high for pair in pairs)
        share = f"{seen}" if seen == len(pairs) else f"{seen} of {len(pairs)}"
        return f"{share} pairs ({self.dataset})"

    @property
    def span(self) -> tuple[float, float]:
        """Whole numbers between which all points lie, with some air."""
        both = [*self.chosen.tolist(), *self.rejected.tolist()]
        air = 0.03 * (max(both) - min(both))
        return math.floor(min(both) - air), math.ceil(max(both) + air)

    @property
    def medians(self) -> tuple[float, float]:
        """Medians of log π(τ_w) and of log π(τ_l)."""
        return statistics.median(self.chosen.tolist()), statistics.median(self.rejected.tolist())


def dataset_points(training: Training, count: int, workspace: Workspace) -> Points:
    """The first pairs of a dataset.

    Args:
        training: Any training on the dataset.
        count: Largest number of pairs, at least 1.
        workspace: Place of the files that the dataset is made from.

    Raises:
        RequestError: If the environment cannot tell log-probabilities.
    """
    import numpy as np

    cell = training.cells[0]
    if not isinstance(training.env, HasPairLogps):
        raise RequestError(
            f"{cell.env} cannot tell log-probabilities of its pairs: draw none, with --points 0"
        )
    sides = training.env.pair_logps(training.request.dataset, workspace)
    chosen, rejected = (np.asarray(side.mean, np.float64) for side in sides)
    return Points(chosen[:count], rejected[:count], f"{cell.env}, {cell.corruption}, seed {cell.seed}")
