"""Distilling: a short polynomial in place of an objective, and how near its gradients come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpobench import Objective, RequestError
from mpobench_discovery.polynomial import DEGREES, Polynomial, fitted
from mpobench_discovery.slopes import Floats, Points, clipping, lengths_of, slopes

NEAR_ENOUGH, NEGLIGIBLE = 1.1, 0.01
"""A degree will do if its error is below the first times the best degree's, or below the second."""


@dataclass(frozen=True)
class Accuracy:
    """The distance of the polynomial's gradients from the objective's.

    In the first two, gradients of the objective that are longer than the median are shortened to it (see
    :func:`~mpobench_discovery.slopes.clipping`), and those of the polynomial in the same proportion.

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
    lengths = lengths_of(expected)
    products = lengths * lengths_of(got)
    dots = (expected * got).sum(axis=1)
    cosines = np.divide(dots, products, out=np.zeros_like(dots), where=products > 0)
    constant = variance < 1e-10 * total
    return Accuracy(
        error=math.sqrt(left / total),
        explained=float(left < 1e-6 * total) if constant else max(0.0, 1 - left / variance),
        cosine=float(cosines[lengths > 0].mean()),
        largest=float(lengths_of(got - expected).max()),
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
