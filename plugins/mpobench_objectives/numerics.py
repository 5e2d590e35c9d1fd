"""Functions that several losses share, stable in float32 in value and gradient.

Each takes the array namespace ``xp`` first, and is differentiable by jax and by torch.
"""

from __future__ import annotations

from typing import Any

from mpobench.preferences import Array

LOGP_CEILING = -1e-6
"""Mean log-probabilities are clipped here before their odds are taken (see :func:`log_odds`)."""


def log_sigmoid(xp: Any, x: Array) -> Array:
    """The log-sigmoid, −log(1 + e⁻ˣ), which is x for very negative x instead of −∞."""
    return -xp.logaddexp(xp.zeros_like(x), -x)


def relu(xp: Any, x: Array) -> Array:
    """max(0, x). At the kink, jax and torch both take the mean of the two slopes, 1/2."""
    return xp.maximum(x, xp.zeros_like(x))


def log_odds(xp: Any, logp: Array) -> Array:
    """The logit, log(p / (1 − p)), from log p.

    Odds exist for p < 1 only, and a mean log-*density* may exceed 0. So log p is clipped at
    ``LOGP_CEILING``: beyond it the odds stay at their largest value, about 10⁶, and have no gradient; below
    it the gradient 1/(1 − p) is at most 10⁶.

    Args:
        xp: the array namespace.
        logp: log-probabilities, of any shape.

    Returns:
        Finite wherever ``logp`` is, in its shape and dtype; NaN where it is NaN.
    """
    below_one = xp.minimum(logp, xp.full_like(logp, LOGP_CEILING))
    # expm1 keeps 1 − p exact near p = 1. Near p = 0 it rounds to 1, whose logarithm 0 is lost next to log p.
    return below_one - xp.log(-xp.expm1(below_one))


def as_array_like(xp: Any, value: Array, like: Array) -> Array:
    """A number, 0-d array or tracer in the shape, dtype and on the device of ``like``."""
    return xp.astype(xp.zeros_like(like) + value, like.dtype)
