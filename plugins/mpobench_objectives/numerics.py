"""Functions that several losses share, stable in float32 in value and gradient.

Each takes the array namespace ``xp`` first, and is differentiable by jax and by torch.
"""

from __future__ import annotations

from typing import Any

import array_api_compat

from mpobench.protocols import Array

LOGP_CEILING = -1e-6
"""Mean log-probabilities are clipped here before their odds are taken (see :func:`log_odds`)."""

EXP_CEILING = 30.0
"""Exponentials go on along their tangent from here (see :func:`exponential`): the square of e³⁰ is still far
from float32's largest number, so that the norm of a gradient can be taken."""


def logistic_loss(xp: Any, margin: Array) -> Array:
    """The logistic loss of a margin, −log σ(x) = log(1 + e⁻ˣ), which is −x for very negative x instead of ∞."""
    if array_api_compat.is_torch_namespace(xp):
        # One kernel: in eager mode each one costs as much as all the arithmetic of a thousand pairs.
        return -xp.nn.functional.logsigmoid(margin)
    return xp.logaddexp(xp.zeros_like(margin), -margin)


def log_sigmoid(xp: Any, x: Array) -> Array:
    """The log-sigmoid, −log(1 + e⁻ˣ), which is x for very negative x instead of −∞."""
    return -logistic_loss(xp, x)


def sigmoid(xp: Any, x: Array) -> Array:
    """The sigmoid 1/(1 + e⁻ˣ), whose gradient is finite where e⁻ˣ is not."""
    return xp.exp(log_sigmoid(xp, x))


def relu(xp: Any, x: Array) -> Array:
    """max(0, x). At the kink, jax and torch both take the mean of the two slopes, 1/2."""
    return xp.maximum(x, xp.zeros_like(x))


def log_odds(xp: Any, logp: Array) -> Array:
    """The logit, log(p / (1 − p)), from log p.

    Odds exist for p < 1 only, and a mean log-*density* may exceed 0. So log p is clipped at
    ``LOGP_CEILING``: beyond it the odds stay at their largest value, about 10⁶, and have no gradient; below
    it the gradient 1/(1 − p) is at most 10⁶.

    Args:
        xp: The array namespace.
        logp: Log-probabilities, of any shape.

    Returns:
        Finite wherever ``logp`` is, in its shape and dtype; NaN where it is NaN.
    """
    below_one = xp.minimum(logp, xp.full_like(logp, LOGP_CEILING))
    # expm1 keeps 1 − p exact near p = 1. Near p = 0 it rounds to 1, whose logarithm 0 is lost next to log p.
    return below_one - xp.log(-xp.expm1(below_one))


def as_array_like(xp: Any, value: Array, like: Array) -> Array:
    """A number, 0-d array or tracer in the shape, dtype and on the device of ``like``."""
    return xp.astype(xp.zeros_like(like) + value, like.dtype)


def exponential(xp: Any, x: Array) -> Array:
    """eˣ up to ``EXP_CEILING``, and its tangent there beyond: finite, increasing, with a gradient everywhere."""
    below = xp.minimum(x, xp.full_like(x, EXP_CEILING))
    return xp.exp(below) * (1 + (x - below))


def box_cox(xp: Any, log_x: Array, power: Array) -> Array:
    """The Box-Cox transform (xᵖ − 1)/p from log x, which is log x at p = 0.

    Beyond ``EXP_CEILING``, xᵖ goes on along its tangent in log x, as in :func:`exponential`.

    Args:
        xp: The array namespace.
        log_x: Logarithm of x, of any shape.
        power: P, a number or tracer, of either sign.

    Returns:
        Increasing in ``log_x``, in its shape and dtype.
    """
    power = as_array_like(xp, power, log_x)
    y = power * log_x
    below = xp.minimum(y, xp.full_like(y, EXP_CEILING))
    expm1 = xp.expm1(below) + xp.exp(below) * (y - below)
    # Near p = 0 a series, as the quotient is 0/0 there; `where` passes on the gradients of both of its branches.
    small = xp.abs(y) < 1e-4
    quotient = expm1 / xp.where(small, xp.ones_like(power), power)
    return xp.where(small, log_x * (1 + y / 2 + y * y / 6), quotient)


def detached(xp: Any, x: Array) -> Array:
    """The same values as constants: no gradient flows through them.

    The array-API standard has no word for this, because it knows no gradients; a library without gradients
    gets its array back.
    """
    if array_api_compat.is_torch_namespace(xp):
        return x.detach()
    if array_api_compat.is_jax_namespace(xp):
        from jax.lax import stop_gradient

        return stop_gradient(x)
    return x
