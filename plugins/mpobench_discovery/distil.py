"""Distilling: the polynomial of the margin whose gradients come nearest to those of an objective.

What a training feels of a loss L is ∂L/∂log π(τ_w) and ∂L/∂log π(τ_l). Those of
−α log π(τ_w) − P(d), d = log π(τ_w) − log π(τ_l), are −α − P′(d) and P′(d): linear in α and in the coefficients of
P, so that the nearest polynomial is a matter of least squares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import numpy as np
from numpy.polynomial import Polynomial as Powers
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import lsq_linear

from mpobench import Objective, RequestError
from mpobench.protocols.pair_loss import pair_loss

Floats: TypeAlias = NDArray[np.float64]

DEGREES = (1, 2, 3, 4, 5)
"""Degrees of P."""

STRETCHES = (1.0, 2.0, 4.0)
"""Factors on the distance of trajectories from the likeliest one of the data, in log-probability."""

SHARE = 0.95
"""Share of the margins, the central ones, that a polynomial is fitted to and judged by."""

WIDEST = 1e4
"""Largest margin that ``mpo-polynomial`` allows, in either direction."""

NEAR_ENOUGH, NEGLIGIBLE = 1.1, 0.01
"""A degree will do if its error is below the first times the best degree's, or below the second."""

DIGITS = 4
"""Significant digits of stated numbers."""


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
        low, high = _rounded(max(min(low, 0.0), -WIDEST)), _rounded(min(max(high, 0.0), WIDEST))
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


@dataclass(frozen=True)
class Polynomial:
    """−α log π(τ_w) − P(d), with P along its tangents beyond a range.

    Attributes:
        alpha: α, at least 0.
        coefficients: Coefficients of d, d², … in P.
        low: Lower end of the range.
        high: Upper end of the range.
    """

    alpha: float
    coefficients: tuple[float, ...]
    low: float
    high: float

    @property
    def fields(self) -> dict[str, float]:
        """Values of the fields of ``mpo-polynomial``."""
        powers = dict.fromkeys((f"c{power}" for power in DEGREES), 0.0)
        stated = {f"c{power}": value for power, value in enumerate(self.coefficients, start=1)}
        return {"alpha": self.alpha, **powers, **stated, "low": self.low, "high": self.high}

    @property
    def derivative(self) -> Powers:
        """P′ within the range."""
        return Powers([0.0, *self.coefficients]).deriv()

    def slopes(self, points: Points) -> Floats:
        """As :func:`slopes`."""
        by_rejected = self.derivative(np.clip(points.margins, self.low, self.high))
        return np.stack([-self.alpha - by_rejected, by_rejected], axis=1)

    @property
    def increasing(self) -> bool:
        """Whether P falls nowhere, but for what rounding may do."""
        turns = np.real(self.derivative.deriv().roots())
        values = self.derivative(np.clip([self.low, *turns, self.high], self.low, self.high))
        return bool(values.min() >= -1e-3 * np.abs(values).max())

    @property
    def formula(self) -> str:
        """``loss = −0.82 log π_w − (1.7 d + 0.33 d² + 0.36 d³),  d = log π_w − log π_l in [−1.2, 2.3]``."""
        terms = [
            f"{stated(value)} {power}"
            for value, power in zip(self.coefficients, ("d", "d²", "d³", "d⁴", "d⁵"), strict=False)
            if value
        ]
        score = " + ".join(terms).replace("+ −", "− ")
        parts = [f"−{stated(self.alpha)} log π_w"] * (self.alpha > 0) + [f"−({score})"] * bool(terms)
        loss = " ".join(parts).replace(" −(", " − (") or "0"
        return f"loss = {loss},  d = log π_w − log π_l in [{stated(self.low)}, {stated(self.high)}]"


def stated(value: float) -> str:
    """A number in words, with :data:`DIGITS` digits."""
    return f"{value:.{DIGITS}g}".replace("-", "−")


def fitted(points: Points, gradients: Floats, degree: int, low: float, high: float) -> Polynomial:
    """The nearest polynomial of a degree: least squares on both gradients at once, with α ≥ 0.

    If no gradient falls with the rejected side, then neither does the polynomial at the two ends, whose slopes
    go on for ever: P′ is written in Bernstein's polynomials, the first and last of which alone are not 0 there.

    Args:
        points: Points within ``low`` and ``high``.
        gradients: ``(points, 2)``, from :func:`slopes`.
        degree: Degree of P.
        low: Lower end of the range.
        high: Upper end of the range.
    """
    basis = _bernstein(degree - 1, low, high)
    by_rejected = np.vander(points.margins, degree, increasing=True) @ basis
    design = np.zeros((len(gradients), 2, degree + 1))
    design[:, 0, 0], design[:, 0, 1:], design[:, 1, 1:] = -1, -by_rejected, by_rejected
    least = np.full(degree + 1, -np.inf)
    least[0] = 0
    if (gradients[:, 1] >= 0).all():
        least[[1, -1]] = 0
    shares = clipping(gradients)
    rows = (design * shares[:, None, None]).reshape(-1, degree + 1)
    wanted = (gradients * shares[:, None]).ravel()
    nearest: Any = lsq_linear  # mypy takes it for the module of this name
    alpha, *weights = nearest(rows, wanted, (least, np.inf), method="bvls").x
    coefficients = basis @ weights / np.arange(1, degree + 1)
    return _short(Polynomial(float(alpha), tuple(coefficients.tolist()), low, high))


def clipping(gradients: Floats) -> Floats:
    """The factor on each gradient that clips it at their median length, ``(points,)``.

    A network may have enormous gradients at some points, which would decide a fit alone. A training shortens what is
    long too: it clips its gradients, and Adam normalises them.
    """
    lengths = _lengths(gradients)
    limit = np.median(lengths[lengths > 0])
    return np.asarray(limit / np.maximum(lengths, limit))


def _lengths(gradients: Floats) -> Floats:
    return np.asarray(np.linalg.norm(gradients, axis=1))


def _bernstein(degree: int, low: float, high: float) -> Floats:
    """Bernstein's polynomials of a degree on a range: a column each, of its coefficients from the constant upwards."""
    rise, fall = (Powers(ends) / (high - low) for ends in ([-low, 1.0], [high, -1.0]))
    basis = [math.comb(degree, at) * rise**at * fall ** (degree - at) for at in range(degree + 1)]
    return np.stack([polynomial.coef for polynomial in basis], axis=1)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _short(exact: Polynomial) -> Polynomial:
    """With as many digits as are stated, and without powers that contribute nothing to the slope."""
    reach = max(-exact.low, exact.high)
    steepest = [
        power * abs(value) * reach ** (power - 1) for power, value in enumerate(exact.coefficients, start=1)
    ]
    floor = 10**-DIGITS * max(exact.alpha, *steepest)
    kept = (
        _rounded(value) if slope > floor else 0.0
        for value, slope in zip(exact.coefficients, steepest, strict=True)
    )
    return Polynomial(_rounded(exact.alpha), tuple(kept), exact.low, exact.high)


@dataclass(frozen=True)
class Accuracy:
    """The distance of the polynomial's gradients from the objective's.

    In the first two, gradients of the objective that are longer than the median are shortened to it (see
    :func:`clipping`), and those of the polynomial in the same proportion.

    Attributes:
        error: Root mean square of the difference, relative to the root mean square of the objective's.
        explained: Share of the gradients' variance that the polynomial explains (R²). A loss that is linear
            in both log-probabilities, whose gradients are the same everywhere, explains none.
        cosine: Mean cosine of the angle between the two, which decides a training that normalises lengths.
        largest: Length of the largest difference, of gradients that are not shortened.
        median: Median length of the objective's gradients.
    """

    error: float
    explained: float
    cosine: float
    largest: float
    median: float


def accuracy(expected: Floats, got: Floats) -> Accuracy:
    """Compares gradients, both ``(points, 2)``."""
    weights = clipping(expected)[:, None] ** 2
    mean = (weights * expected).sum(axis=0) / weights.sum()
    total, variance, left = (
        float((weights * difference**2).sum()) for difference in (expected, expected - mean, expected - got)
    )
    lengths = _lengths(expected)
    products = lengths * _lengths(got)
    dots = (expected * got).sum(axis=1)
    cosines = np.divide(dots, products, out=np.zeros_like(dots), where=products > 0)
    constant = variance < 1e-10 * total
    return Accuracy(
        error=math.sqrt(left / total),
        explained=float(left < 1e-6 * total) if constant else max(0.0, 1 - left / variance),
        cosine=float(cosines[lengths > 0].mean()),
        largest=float(_lengths(got - expected).max()),
        median=float(np.median(lengths)),
    )


@dataclass(frozen=True)
class Distilled:
    """The result of a fit.

    Attributes:
        polynomial: Fitted polynomial.
        accuracy: Accuracy of the polynomial.
        errors: Errors of all degrees that were tried, by degree.
        points: Number of points of the fit.
    """

    polynomial: Polynomial
    accuracy: Accuracy
    errors: dict[int, float]
    points: int

    @property
    def degree(self) -> int:
        """Degree of the polynomial."""
        return len(self.polynomial.coefficients)


def distilled(
    objective: Objective, points: Points, degrees: Sequence[int] = DEGREES, progress: float = 0.0
) -> Distilled:
    """The shortest polynomial that is about as near as the best one.

    Args:
        objective: Objective without a reference.
        points: All points.
        degrees: Degrees to choose from, ascending.
        progress: Share of training that is done, at which the objective is differentiated.

    Raises:
        RequestError: If the objective has no finite gradients there, or none at all.
    """
    low, high = points.central()
    inside = points.within(low, high)
    gradients = slopes(objective, inside, progress)
    if not np.isfinite(gradients).all():
        wild = int((~np.isfinite(gradients)).any(axis=1).sum())
        raise RequestError(f"its gradient is not finite at {wild} of {len(gradients)} pairs: mend it first")
    if not gradients.any():
        raise RequestError("its gradient is 0 at every pair: there is nothing to distil")
    fits = {degree: fitted(inside, gradients, degree, low, high) for degree in degrees}
    accuracies = {degree: accuracy(gradients, fit.slopes(inside)) for degree, fit in fits.items()}
    errors = {degree: accuracies[degree].error for degree in degrees}
    enough = max(NEAR_ENOUGH * min(errors.values()), NEGLIGIBLE)
    chosen = next(degree for degree in degrees if errors[degree] <= enough)
    return Distilled(fits[chosen], accuracies[chosen], errors, len(gradients))
