"""Statistics against independent formulas, and the properties that they must have."""

from __future__ import annotations

import itertools
import math
import statistics as stdlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpobench.leaderboard.statistics import (
    Interval,
    interquartile_mean,
    interquartile_mean_interval,
    mean_and_standard_error,
)

numbers = st.floats(-1e9, 1e9)
samples = st.lists(numbers, min_size=2, max_size=40)


@settings(deadline=None)
@given(values=samples)
def test_mean_and_standard_error_by_the_textbook(values: list[float]) -> None:
    estimate = mean_and_standard_error(values)
    assert estimate.n == len(values)
    assert estimate.mean == pytest.approx(stdlib.fmean(values), rel=1e-12, abs=1e-6)
    expected = stdlib.stdev(values) / math.sqrt(len(values))
    assert estimate.standard_error == pytest.approx(expected, rel=1e-9, abs=1e-6)


@settings(deadline=None)
@given(value=st.floats(-1e300, 1e300), n=st.integers(2, 30))
def test_equal_values_have_no_spread(value: float, n: int) -> None:
    estimate = mean_and_standard_error([value] * n)
    assert (estimate.mean, estimate.standard_error) == (value, 0.0)


def test_a_single_value_has_no_standard_error() -> None:
    estimate = mean_and_standard_error([3.5])
    assert estimate.standard_error is None
    assert estimate.interval == Interval(3.5, 3.5)


def test_no_values_have_no_mean() -> None:
    with pytest.raises(ValueError, match="no values"):
        mean_and_standard_error([])


@settings(deadline=None)
@given(ends=st.lists(st.integers(0, 20), min_size=4, max_size=4))
def test_intervals_overlap_where_they_share_a_point(ends: list[int]) -> None:
    first, second = Interval(*sorted(ends[:2])), Interval(*sorted(ends[2:]))
    shared = set(range(int(first.low), int(first.high) + 1)) & set(
        range(int(second.low), int(second.high) + 1)
    )
    assert first.overlaps(second) == second.overlaps(first) == bool(shared)


@settings(deadline=None)
@given(values=st.lists(numbers, min_size=1, max_size=60))
def test_interquartile_mean_is_the_mean_of_the_middle(values: list[float]) -> None:
    cut = len(values) // 4
    middle = sorted(values)[cut : len(values) - cut]
    assert interquartile_mean(values) == pytest.approx(stdlib.fmean(middle), rel=1e-9, abs=1e-6)


def test_interquartile_mean_shrugs_off_one_broken_seed_in_four() -> None:
    assert interquartile_mean([10.0, 12.0, 11.0, -1e6]) == pytest.approx(10.5)


def test_interquartile_mean_along_an_axis() -> None:
    values = np.arange(24.0).reshape(3, 8)
    np.testing.assert_allclose(interquartile_mean(values, axis=1), [3.5, 11.5, 19.5])


@settings(max_examples=25, deadline=None)
@given(
    strata=st.lists(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=6), min_size=1, max_size=4),
    seed=st.integers(0, 100),
)
def test_the_bootstrap_interval_lies_within_the_data_and_repeats(
    strata: list[list[float]], seed: int
) -> None:
    interval = interquartile_mean_interval(strata, resamples=200, seed=seed)
    assert interval is not None
    values = list(itertools.chain(*strata))
    tolerance = 1e-9 * max(map(abs, values))
    assert min(values) - tolerance <= interval.low <= interval.high <= max(values) + tolerance
    assert interval == interquartile_mean_interval(strata, resamples=200, seed=seed)


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    repeats, covered = 200, 0
    for i in range(repeats):
        strata = [list(rng.normal(5.0, 1.0, size=20)), list(rng.normal(5.0, 1.0, size=20))]
        interval = interquartile_mean_interval(strata, resamples=400, seed=i)
        assert interval is not None
        covered += interval.low <= 5.0 <= interval.high
    assert 0.88 <= covered / repeats <= 0.99


def test_the_bootstrap_resamples_seeds_within_a_corruption() -> None:
    """Corruptions that are constant, however far apart, leave nothing uncertain; pooling them would not."""
    interval = interquartile_mean_interval([[0.0] * 4, [100.0] * 4])
    assert interval == Interval(50.0, 50.0)
    spread = interquartile_mean_interval([[-1.0, 1.0] * 2, [99.0, 101.0] * 2])
    assert spread is not None
    assert spread.high - spread.low < 3


def test_a_bootstrap_of_many_scores_takes_little_memory() -> None:
    scores = list(np.random.default_rng(0).normal(5.0, 1.0, size=20_000))
    interquartile_mean_interval([scores[:2]], resamples=10)  # imports
    tracemalloc.start()
    interval = interquartile_mean_interval([scores], resamples=1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert interval is not None
    assert interval.low < interquartile_mean(scores) < interval.high
    assert 0.02 < interval.high - interval.low < 0.05
    assert peak < 200 * 2**20, "all samples at once are 160 MB, and copied several times"


@pytest.mark.parametrize("strata", [[], [[1.0]], [[1.0, 2.0], [3.0]]])
def test_a_single_seed_has_no_interval(strata: list[list[float]]) -> None:
    assert interquartile_mean_interval(strata) is None
