"""An objective as a function of two numbers: log π(τ_w) and log π(τ_l) of a single pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpobench import Objective
from mpobench.errors import PluginError, one_line
from mpobench.protocols.pair_loss import pair_loss
from mpobench.registry.build import Configured

Floats = NDArray[np.float32]


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
    """The loss of pairs, each in a batch of its own (see :func:`~mpobench.protocols.pair_loss.pair_loss`).

    A side is one step long: the picture is the same under either ``reduction``, since it is of a quantity per step.

    Args:
        objective: Objective.
        chosen: log π(τ_w), in nats per step.
        rejected: log π(τ_l), of a shape that broadcasts with it.
        given: Reference and progress.

    Returns:
        Losses in the broadcast shape.

    Raises:
        PluginError: If jax cannot evaluate the objective.
    """
    return _over_pairs(objective, _loss(objective.component, given), chosen, rejected)


def slopes(
    objective: Configured[Objective], chosen: ArrayLike, rejected: ArrayLike, given: Circumstances
) -> Floats:
    """|∂L/∂log π(τ_w)| of pairs, in loss per (nat per step), by automatic differentiation; as :func:`losses`."""
    slope = jax.grad(_loss(objective.component, given))
    return np.abs(_over_pairs(objective, slope, chosen, rejected))


def depends_on_progress(objective: Configured[Objective], chosen: ArrayLike, rejected: ArrayLike) -> bool:
    """Whether the loss of these pairs at the end of training differs from that at its beginning."""
    first, last = (
        losses(objective, chosen, rejected, Circumstances((-1.0, -1.0), progress)) for progress in (0.0, 1.0)
    )
    return not np.array_equal(first, last, equal_nan=True)


def _loss(objective: Objective, given: Circumstances) -> Callable[[Any, Any], Any]:
    return lambda chosen, rejected: pair_loss(objective, chosen, rejected, given.reference, given.progress)


def _over_pairs(
    objective: Configured[Objective],
    function: Callable[[Any, Any], Any],
    chosen: ArrayLike,
    rejected: ArrayLike,
) -> Floats:
    pairs = np.broadcast_arrays(np.asarray(chosen, np.float32), np.asarray(rejected, np.float32))
    try:
        values = jax.jit(jax.vmap(function))(*(array.ravel() for array in pairs))
    except Exception as error:
        line = f"objective {objective.text!r} of {objective.registered.source} cannot be drawn: "
        raise PluginError(line + one_line(error)) from error
    return np.asarray(values).reshape(pairs[0].shape)
