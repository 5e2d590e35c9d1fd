"""An objective as a function of two numbers: log π(τ_w) and log π(τ_l) of a single pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpobench import Objective, PreferenceBatch, SequenceLogps
from mpobench.errors import PluginError, one_line
from mpobench.registry.build import Configured

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Circumstances:
    """What a loss may read besides the policy's two log-probabilities.

    Attributes:
        reference: log π_ref of the chosen and of the rejected side, in nats per step.
        progress: share of training that is done, in [0, 1].
    """

    reference: tuple[float, float]
    progress: float


def losses(
    objective: Configured[Objective], chosen: ArrayLike, rejected: ArrayLike, given: Circumstances
) -> Floats:
    """The loss of pairs, each in a batch of its own.

    Each side is one step long, so that log π(τ) is its own mean: the picture is the same under either
    ``reduction``, as it is of a quantity per step. A loss that looks at other pairs (KTO's reference point, say)
    sees none.

    Args:
        objective: to evaluate.
        chosen: log π(τ_w), in nats per step.
        rejected: log π(τ_l), of a shape that broadcasts with it.
        given: reference and progress.

    Returns:
        In the broadcast shape.

    Raises:
        PluginError: if the objective cannot be evaluated by jax.
    """
    return _over_pairs(objective, _loss_of_pair(objective.component, given), chosen, rejected)


def slopes(
    objective: Configured[Objective], chosen: ArrayLike, rejected: ArrayLike, given: Circumstances
) -> Floats:
    """|∂L/∂log π(τ_w)| of pairs, in loss per (nat per step), by automatic differentiation; as :func:`losses`."""
    slope = jax.grad(_loss_of_pair(objective.component, given))
    return np.abs(_over_pairs(objective, slope, chosen, rejected))


def depends_on_progress(objective: Configured[Objective], chosen: ArrayLike, rejected: ArrayLike) -> bool:
    """Whether the loss of these pairs is another one at the end of training than at its beginning."""
    first, last = (
        losses(objective, chosen, rejected, Circumstances((-1.0, -1.0), progress)) for progress in (0.0, 1.0)
    )
    return not np.array_equal(first, last, equal_nan=True)


def _loss_of_pair(objective: Objective, given: Circumstances) -> Callable[[Any, Any], Any]:
    def side(logp: Any) -> SequenceLogps:
        return SequenceLogps(jnp.reshape(jnp.asarray(logp, jnp.float32), (1,)), jnp.ones(1))

    def loss(chosen: Any, rejected: Any) -> Any:
        best, other = map(side, given.reference)
        return objective.loss(
            PreferenceBatch(side(chosen), side(rejected), best, other, progress=given.progress)
        )[0]

    return loss


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
