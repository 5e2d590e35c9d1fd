"""Losses that are polynomials of the margin, and the one whose gradients come nearest to given ones.

What a training feels of a loss L is ∂L/∂log π(τ_w) and ∂L/∂log π(τ_l). Those of
−α log π(τ_w) − P(d), d = log π(τ_w) − log π(τ_l), are −α − P′(d) and P′(d): linear in α and in the coefficients of
P, so that the nearest polynomial is a matter of least squares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial as Powers
from scipy.optimize import lsq_linear

from mpobench_discovery.slopes import DIGITS, Floats, Points, clipping, rounded

DEGREES = (1, 2, 3, 4, 5)
"""Degrees of P."""


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
        """As :func:`~mpobench_discovery.slopes.slopes`."""
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
        gradients: ``(points, 2)``, from :func:`~mpobench_discovery.slopes.slopes`.
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


def _bernstein(degree: int, low: float, high: float) -> Floats:
    """Bernstein's polynomials of a degree on a range: a column each, of its coefficients from the constant upwards."""
    rise, fall = (Powers(ends) / (high - low) for ends in ([-low, 1.0], [high, -1.0]))
    basis = [math.comb(degree, at) * rise**at * fall ** (degree - at) for at in range(degree + 1)]
    return np.stack([polynomial.coef for polynomial in basis], axis=1)


def _short(exact: Polynomial) -> Polynomial:
    """With as many digits as are stated, and without powers that contribute nothing to the slope."""
    reach = max(-exact.low, exact.high)
    steepest = [
        power * abs(value) * reach ** (power - 1) for power, value in enumerate(exact.coefficients, start=1)
    ]
    floor = 10**-DIGITS * max(exact.alpha, *steepest)
    kept = (
        rounded(value) if slope > floor else 0.0
        for value, slope in zip(exact.coefficients, steepest, strict=True)
    )
    return Polynomial(rounded(exact.alpha), tuple(kept), exact.low, exact.high)
