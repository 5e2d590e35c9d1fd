"""The gradients of a loss at the pairs that a training sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpobench import Objective, RequestError
from mpobench.protocols.pair_loss import pair_loss

Floats: TypeAlias = NDArray[np.float64]

STRETCHES = (1.0, 2.0, 4.0)
"""Factors on the distance of trajectories from the likeliest one of the data, in log-probability."""

SHARE = 0.95
"""Share of the margins, the central ones, that a polynomial is fitted to and judged by."""

WIDEST = 1e4
"""Largest margin that ``mpo-polynomial`` allows, in either direction."""

DIGITS = 4
"""Significant digits of stated numbers."""


def rounded(value: float) -> float:
    """A number with :data:`DIGITS` digits."""
    return float(f"{value:.{DIGITS}g}")


@dataclass(frozen=True)
class Points:
    """Pairs as points of the plane: log π(τ_w) and log π(τ_l), both ``(points,)``, in the unit that the loss reads."""

    chosen: Floats
    rejected: Floats

    @property
    def margins(self) -> Floats:
        """d, ``(points,)``."""
        return self.chosen - self.rejected

    def spread(self) -> Points:
        """The points where the policies of a training may see these pairs, four for each of them.

        The points are of a policy that has cloned the data. At the beginning of a training, and again where a
        loss has pushed trajectories away, they lie lower, and their margins are wider; none gets likelier than the
        likeliest is. So each pair counts as it is, and at twice and at four times its distance from there. And a
        policy that begins as the agent of the other side prefers that side: each pair counts with its sides exchanged.
        """
        top = max(self.chosen.max(), self.rejected.max())
        sides = [(self.chosen, self.rejected), (self.rejected, self.chosen)]
        return Points(
            *(
                np.concatenate([*(top + factor * (side - top) for factor in STRETCHES), other])
                for side, other in sides
            )
        )

    def central(self) -> tuple[float, float]:
        """The range of the central margins, and of 0: the few trajectories that nearly no policy takes stay outside.

        Raises:
            RequestError: If these margins are all 0.
        """
        tail = (1 - SHARE) / 2
        low, high = (float(end) for end in np.quantile(self.margins, [tail, 1 - tail]))
        low, high = rounded(max(min(low, 0.0), -WIDEST)), rounded(min(max(high, 0.0), WIDEST))
        if low == high:
            raise RequestError("both sides of all pairs are equally likely: there are no margins to fit to")
        return low, high

    def within(self, low: float, high: float) -> Points:
        """The points whose margins are in a range."""
        inside = (low <= self.margins) & (self.margins <= high)
        return Points(self.chosen[inside], self.rejected[inside])


def grid(low: float, high: float, points: int = 41) -> Points:
    """Points over the square of a range of both log-probabilities, ``points`` of them along each axis."""
    axis = np.linspace(low, high, points)
    chosen, rejected = np.meshgrid(axis, axis)
    return Points(chosen.ravel(), rejected.ravel())


def slopes(objective: Objective, points: Points, progress: ArrayLike = 0.0) -> Floats:
    """The gradients of a loss, each pair in a batch of its own, in single precision like a training's.

    See :func:`~mpobench.protocols.pair_loss.pair_loss`.

    Args:
        objective: Objective without a reference.
        points: Points at which the loss is differentiated.
        progress: Share of training that is done, one for all points, or ``(points,)``.

    Returns:
        ``(points, 2)``: ∂L/∂log π(τ_w) and ∂L/∂log π(τ_l).
    """

    def loss(chosen: Any, rejected: Any, progress: Any) -> Any:
        return pair_loss(objective, chosen, rejected, progress=progress)

    given = np.broadcast_arrays(points.chosen, points.rejected, np.asarray(progress))
    both = jax.jit(jax.vmap(jax.grad(loss, argnums=(0, 1))))(*(array.astype(np.float32) for array in given))
    return np.stack([np.asarray(side, np.float64) for side in both], axis=1)


def changes(objective: Objective, points: Points) -> bool:
    """Whether the gradients of a loss at some points depend on the progress of training."""
    moments = (0.0, 0.5, 1.0)
    sides = (np.tile(side, len(moments)) for side in (points.chosen, points.rejected))
    given = np.repeat(moments, len(points.chosen))
    first, *others = np.split(slopes(objective, Points(*sides), given), len(moments))
    return any(not np.array_equal(first, other, equal_nan=True) for other in others)


def clipping(gradients: Floats) -> Floats:
    """The factor on each gradient that clips it at their median length, ``(points,)``.

    A network may have enormous gradients at some points, which would decide a fit alone. A training shortens what is
    long too: it clips its gradients, and Adam normalises them.
    """
    lengths = lengths_of(gradients)
    limit = np.median(lengths[lengths > 0])
    return np.asarray(limit / np.maximum(lengths, limit))


def lengths_of(gradients: Floats) -> Floats:
    """The lengths of gradients, ``(points,)``."""
    return np.asarray(np.linalg.norm(gradients, axis=1))
