"""Increasing functions in closed form: inverse potentials φ⁻¹ of known mirror maps, and link functions g."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from mpobench.protocols import Array

from ..numerics import box_cox, exponential, log_odds, log_sigmoid

Potential: TypeAlias = Literal["log", "logit", "tsallis", "l2"]
Link: TypeAlias = Literal["log-sigmoid", "linear"]


def inverse_potential(xp: Any, potential: Potential, logp: Array, q: Array) -> Array:
    """φ⁻¹(π), the derivative of a mirror map in one probability.

    | name | φ⁻¹(π) | mirror map | divergence |
    |---|---|---|---|
    | ``log`` | log π | negative entropy Σ π log π, φ = exp up to a constant | Kullback-Leibler |
    | ``logit`` | log(π / (1 − π)) | binary negative entropy Σ π log π + (1 − π) log(1 − π) | ORPO's |
    | ``tsallis`` | (π^(q−1) − 1) / (q − 1) | Tsallis's negative entropy; ``log`` at q = 1, π − 1 at q = 2 | |
    | ``l2`` | 2 π | squared norm Σ π² | Euclidean |

    Clips: odds as in :func:`~mpobench_objectives.numerics.log_odds`, powers above e³⁰ go on along their tangent
    in log π (:func:`~mpobench_objectives.numerics.exponential`).

    Args:
        xp: The array namespace.
        potential: One of the above.
        logp: Log π, ``(pairs,)``.
        q: Index of the Tsallis entropy, a positive number or tracer.

    Returns:
        ``(pairs,)``, nowhere decreasing in ``logp``.

    References:
        Krichene et al. (2015), Efficient Bregman Projections onto the Simplex (potentials); Alfano et al.,
        Meta-Learning Objectives for Preference Optimization, §2.2, §3 and Appendix F.
    """
    if potential == "logit":
        return log_odds(xp, logp)
    if potential == "tsallis":
        return box_cox(xp, logp, q - 1)
    if potential == "l2":
        return 2 * exponential(xp, logp)
    return logp


def link(xp: Any, name: Link, margin: Array) -> Array:
    """g, which turns a difference of rewards ``(pairs,)`` into a score: log σ (Bradley-Terry) or itself."""
    return log_sigmoid(xp, margin) if name == "log-sigmoid" else margin
