"""Increasing functions as networks: the search space of meta-learned objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import array_api_compat

from mpobench.protocols import Array

from ..numerics import log_odds, log_sigmoid, relu

UNITS = (9, 14)
"""Hidden units of a network: 14 for each of 9 activations, 126 in all."""

LOGP_CEILING = 5.0
"""π is exp(min(log π, 5)): a density may exceed 1, but not without bound."""

PROBABILITY_FLOOR, MARGIN_FLOOR = 1e-27, 1e-6
"""Where roots and logarithms of a network's positive part begin: for π (log π ≈ −62), and for all other inputs."""

POWER_LIMIT, EXPONENT_LIMIT = 1e3, 15.0
"""Largest input of squares and cubes (either sign) and of exponentials (above); they are flat beyond."""


def hidden_layer(xp: Any, weights: Mapping[str, Array], x: Array, floor: float) -> Array:
    """The one hidden layer of §3.1: Σⱼ vⱼ aⱼ(uⱼ x + bⱼ) with kernels u, v ≥ 0 and free biases b.

    Increasing activations under non-negative kernels make an increasing function. In the order of the rows of
    the weights they are x, (x)₊², x³, (x)₊^½, (x)₊^⅓, log (x)₊, eˣ, tanh x and logit x. In the roots and logarithms
    (x)₊ is max(x, ``floor``), and the logit takes x clipped to [``floor``, 1 − 10⁻⁶]. Together with the limits
    above these clips keep value and gradient finite in float32, for kernels of up to about ten.

    Args:
        xp: The array namespace.
        weights: ``kernel_in``, ``bias`` and ``kernel_out``, arrays or tracers of shape ``UNITS``.
        x: ``(pairs,)``.
        floor: The smallest x that roots and logarithms tell from 0.

    Returns:
        ``(pairs,)``, nowhere decreasing in x.

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, §3.1.
    """
    kernel_in, bias, kernel_out = (
        of_library(xp, weights[name], x) for name in ("kernel_in", "bias", "kernel_out")
    )
    rows = kernel_in * x[:, None, None] + bias

    def row(number: int) -> Array:
        return rows[:, number, :]

    def clipped(u: Array, low: float, high: float) -> Array:
        return xp.minimum(xp.maximum(u, xp.full_like(u, low)), xp.full_like(u, high))

    def positive(u: Array) -> Array:
        return xp.maximum(u, xp.full_like(u, floor))

    inside = clipped(row(8), floor, 1 - 1e-6)
    activations = [
        row(0),
        relu(xp, clipped(row(1), -POWER_LIMIT, POWER_LIMIT)) ** 2,
        clipped(row(2), -POWER_LIMIT, POWER_LIMIT) ** 3,
        xp.sqrt(positive(row(3))),
        positive(row(4)) ** (1 / 3),
        xp.log(positive(row(5))),
        xp.exp(xp.minimum(row(6), xp.full_like(row(6), EXPONENT_LIMIT))),
        xp.tanh(row(7)),
        xp.log(inside / (1 - inside)),
    ]
    return xp.sum(kernel_out * xp.stack(activations, axis=1), axis=(1, 2))


def of_library(xp: Any, weights: Array, like: Array) -> Array:
    """Weights as an array of ``like``'s library, dtype and device; tracers and tensors keep their gradients."""
    if array_api_compat.is_numpy_array(weights):
        weights = xp.asarray(weights.copy(), device=array_api_compat.device(like))
    return xp.astype(weights, like.dtype)


def probability(xp: Any, logp: Array) -> Array:
    """π from log π, at most e⁵; below log π = −103 (−87 in jax on a CPU) it underflows to 0, without a gradient."""
    return xp.exp(xp.minimum(logp, xp.full_like(logp, LOGP_CEILING)))


def phi_inverse(xp: Any, weights: Mapping[str, Array], logp: Array) -> Array:
    """φ⁻¹(π) = net(π) + c log(π / (1 − π)), from log π ``(pairs,)``; c ≥ 0 is the weights' ``coefficient``.

    The added term works on log π itself, and so does not underflow with π.
    """
    added = of_library(xp, weights["coefficient"], logp) * log_odds(xp, logp)
    return hidden_layer(xp, weights, probability(xp, logp), PROBABILITY_FLOOR) + added


def psi(xp: Any, weights: Mapping[str, Array], logp: Array) -> Array:
    """ψ(π) = net(π) + b log π, from log π ``(pairs,)``; b ≥ 0 is the weights' ``coefficient``."""
    added = of_library(xp, weights["coefficient"], logp) * logp
    return hidden_layer(xp, weights, probability(xp, logp), PROBABILITY_FLOOR) + added


def g(xp: Any, weights: Mapping[str, Array], margin: Array) -> Array:
    """Scores margins x ``(pairs,)``: net(x) + a log σ(x); a ≥ 0 is the weights' ``coefficient``.

    The paper writes a log x for the added term, which has no value at negative margins and, whatever φ⁻¹, would
    not recover DPO and ORPO as it is meant to: these have log σ.
    """
    added = of_library(xp, weights["coefficient"], margin) * log_sigmoid(xp, margin)
    return hidden_layer(xp, weights, margin, MARGIN_FLOOR) + added


def schedule(xp: Any, weights: Mapping[str, Array], t: Array) -> Array:
    """α(t) from 0 at t = 0 to 1 at t = 1: an increasing network, moved and scaled to meet both ends.

    The ``coefficient`` is of an added term in t. A millionth of it is always there, so that a network that is
    flat is the linear schedule instead of 0/0.
    """
    slope = of_library(xp, weights["coefficient"], t) + 1e-6

    points = xp.concat([t, xp.zeros_like(t), xp.ones_like(t)])
    here, start, end = xp.reshape(hidden_layer(xp, weights, points, MARGIN_FLOOR), (3, -1))
    return (here - start + slope * t) / (end - start + slope)
