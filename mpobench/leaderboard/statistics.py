"""The estimates of a benchmark with few seeds: means with standard errors, and interquartile means.

They follow Alfano et al. (Table 1: mean ± standard error over seeds) and Agarwal et al., *Deep reinforcement learning
at the edge of the statistical precipice*, NeurIPS 2021 (interquartile mean). Their intervals are in
:mod:`mpobench.leaderboard.resampling`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Interval:
    """A closed interval of the real line."""

    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Whether the two have a point in common."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class Quantity:
    """A number and how well it is known.

    Attributes:
        value: Estimate.
        interval: Its 95 % interval; None from a single seed.
    """

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Estimate:
    """A mean and how well it is known.

    Attributes:
        mean: Sample mean.
        standard_error: Standard error of the mean; None from a single value, which says nothing about it.
        n: Number of values.
    """

    mean: float
    standard_error: float | None
    n: int

    @property
    def interval(self) -> Interval:
        """Mean ± standard error, the paper's interval; a point where the error is unknown."""
        error = self.standard_error or 0.0
        return Interval(self.mean - error, self.mean + error)


def mean_and_standard_error(values: Sequence[float]) -> Estimate:
    """Sample mean, and its standard error s/√n with the unbiased variance s² (divisor n - 1).

    Args:
        values: At least one finite number.

    Raises:
        ValueError: Without any value.
    """
    n = len(values)
    if not n:
        raise ValueError("the mean of no values")
    # Rounding must not carry the mean of equal values past them, nor give them a spread.
    mean = min(max(math.fsum(values) / n, min(values)), max(values))
    if n == 1:
        return Estimate(mean, None, 1)
    return Estimate(mean, math.hypot(*(value - mean for value in values)) / math.sqrt(n * (n - 1)), n)


def interquartile_mean(values: Any, axis: int | None = None) -> Any:
    """Mean of the middle half: ⌊n/4⌋ values are dropped at each end (Agarwal et al. 2021, §4.3).

    Args:
        values: An array, or a sequence of numbers.
        axis: Axis along which to average; None for all values.

    Returns:
        A float, or an array without ``axis``.
    """
    from scipy.stats import trim_mean

    return trim_mean(values, proportiontocut=0.25, axis=axis)
