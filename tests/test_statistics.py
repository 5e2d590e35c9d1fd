"""Statistics against independent formulas, and the properties that they must have."""

from __future__ import annotations

import math
import statistics as stdlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpobench.leaderboard.resampling import interval, resampled_interquartile_means, seed_weights
from mpobench.leaderboard.statistics import Interval, interquartile_mean, mean_and_standard_error

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


cells_of_seeds = st.lists(
    st.dictionaries(st.integers(0, 9), st.floats(-1e4, 1e4), min_size=2, max_size=6), min_size=1, max_size=4
)


@settings(max_examples=25, deadline=None)
@given(cells=cells_of_seeds)
def test_resampled_interquartile_means_are_those_of_the_drawn_seeds(cells: list[dict[int, float]]) -> None:
    found = resampled_interquartile_means(cells, 7)
    drawn = [np.rint(len(cell) * seed_weights(tuple(sorted(cell)), 7)).astype(int) for cell in cells]
    for sample in range(7):
        values = [
            cell[seed]
            for cell, counts in zip(cells, drawn, strict=True)
            for seed, count in zip(sorted(cell), counts[sample], strict=True)
            for _ in range(count)
        ]
        assert found[sample] == pytest.approx(interquartile_mean(values), rel=1e-9, abs=1e-6)


def test_the_interval_of_the_interquartile_mean_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    repeats, covered = 300, 0
    for first in range(0, 20 * repeats, 20):
        # Two corruptions of the same twenty datasets: what is good luck in one is so in the other.
        luck = rng.normal(size=20)
        cells = [
            dict(zip(range(first, first + 20), 5 + luck + rng.normal(0, 0.3, 20), strict=True)) for _ in "ab"
        ]
        found = interval(resampled_interquartile_means(cells, 400), 20)
        assert found is not None
        covered += found.low <= 5.0 <= found.high
    assert 0.91 <= covered / repeats <= 0.985


def test_what_is_constant_in_each_cell_leaves_nothing_uncertain() -> None:
    cells = [dict.fromkeys(range(4), 0.0), dict.fromkeys(range(4), 100.0)]
    assert interval(resampled_interquartile_means(cells, 200), 4) == Interval(50.0, 50.0)


def test_a_bootstrap_of_many_scores_takes_little_memory() -> None:
    scores = dict(enumerate(np.random.default_rng(0).normal(5.0, 1.0, size=20_000)))
    seed_weights(tuple(scores), 1000)  # shared with the other statistics
    tracemalloc.start()
    found = interval(resampled_interquartile_means([scores], 1000), len(scores))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is not None
    assert found.low < interquartile_mean(list(scores.values())) < found.high
    assert 0.02 < found.high - found.low < 0.05
    assert peak < 100 * 2**20, "all samples at once are 160 MB, and copied several times"
