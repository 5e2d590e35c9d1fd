"""An objective as a function of two numbers: log π(τ_w) and log π(τ_l) of a single pair, in numpy.

Slopes are central differences in float64: they need no library that differentiates, and are exact to seven digits
wherever the loss has a derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpobench.errors import PluginError, one_line
from mpobench.protocols import Objective
from mpobench.protocols.pair_loss import pair_losses
from mpobench.registry.build import Configured

Floats: TypeAlias = NDArray[np.float64]

STEP = 1e-5
"""Half of the distance over which slopes are taken, in nats per step."""


@dataclass(frozen=True)
class Circumstances:
    """The quantities that a loss may read besides the policy's two log-probabilities.

    Attributes:
        reference: log π_ref of the chosen and of the rejected side, in nats per step.
        progress: Share of training that is done, in [0, 1].
    """

    reference: tuple[float, float]
    progress: float


def losses(
    objective: Configured[Objective], chosen: ArrayLike, rejected: ArrayLike, given: Circumstances
) -> Floats:
    """The loss of pairs, each in a batch of its own.

    Args:
        objective: Objective.
        chosen: log π(τ_w), in nats per step.
        rejected: log π(τ_l), of a shape that broadcasts with it.
        given: Reference and progress.

    Returns:
        Losses in the broadcast shape.

    Raises:
        PluginError: If numpy cannot evaluate the objective.
    """
    sides = np.broadcast_arrays(np.asarray(chosen, np.float64), np.asarray(rejected, np.float64))
    first, second = (side.ravel() for side in sides)
    try:
        with np.errstate(all="ignore"):
            values = _alone(objective.component, given)(first, second)
    except Exception as error:
        line = f"objective {objective.text!r} of {objective.registered.source} cannot be drawn: "
        raise PluginError(line + one_line(error)) from error
    return values.reshape(sides[0].shape)


def slopes(
    objective: Configured[Objective], chosen: ArrayLike, rejected: ArrayLike, given: Circumstances
) -> Floats:
    """|∂L/∂log π(τ_w)| of pairs, in loss per (nat per step); as :func:`losses`."""
    return np.abs(gradients(objective, chosen, rejected, given)[0])


def gradients(
    objective: Configured[Objective], chosen: ArrayLike, rejected: ArrayLike, given: Circumstances
) -> tuple[Floats, Floats]:
    """∂L/∂log π(τ_w) and ∂L/∂log π(τ_l) of pairs, in loss per (nat per step); as :func:`losses`."""
    chosen, rejected = np.asarray(chosen, np.float64), np.asarray(rejected, np.float64)

    def slope(chosen_step: float, rejected_step: float) -> Floats:
        high, low = (
            losses(objective, chosen + way * chosen_step, rejected + way * rejected_step, given)
            for way in (1, -1)
        )
        with np.errstate(invalid="ignore"):  # infinite on both sides: no slope
            difference: Floats = (high - low) / (2 * STEP)
        return difference

    return slope(STEP, 0.0), slope(0.0, STEP)


def depends_on_progress(objective: Configured[Objective], chosen: ArrayLike, rejected: ArrayLike) -> bool:
    """Whether the loss of these pairs at the end of training differs from that at its beginning."""
    first, last = (
        losses(objective, chosen, rejected, Circumstances((-1.0, -1.0), progress)) for progress in (0.0, 1.0)
    )
    return not np.array_equal(first, last, equal_nan=True)


def _alone(objective: Objective, given: Circumstances) -> Callable[[Floats, Floats], Floats]:
    """The loss of pairs that do not see each other: all at once where that makes no difference."""

    def together(chosen: Floats, rejected: Floats) -> Floats:
        values = pair_losses(objective, chosen, rejected, given.reference, given.progress)
        return np.asarray(values, np.float64)

    def in_turn(chosen: Floats, rejected: Floats) -> Floats:
        pairs = zip(chosen[:, None], rejected[:, None], strict=True)
        return np.concatenate([together(*pair) for pair in pairs])

    return in_turn if objective.min_pairs > 1 else together
