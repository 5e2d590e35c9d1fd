"""The built-in corruptions against the statistics that define them, with exact binomial bounds."""

from __future__ import annotations

import warnings

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mpobench import ORIGINAL, TARGET, DatasetCorruption, RequestError
from mpobench.registry.registry import get_registry
from mpobench_corruptions.bad_judge import BadJudge
from mpobench_corruptions.base import Base
from mpobench_corruptions.mixed import Mixed
from mpobench_corruptions.noisy import Noisy

PAIRS = 20_000
SEEDS = range(3)


def corruption(text: str) -> DatasetCorruption:
    built = get_registry().build("corruption", text).component
    assert isinstance(built, DatasetCorruption)
    return built


def assert_rate(hits: np.ndarray, probability: float) -> None:
    """The hits are plausible draws: each test here fails one sound implementation in a million."""
    test = binomtest(int(hits.sum()), hits.size, probability)
    assert test.pvalue > 1e-6, f"{hits.mean():.4f} of {hits.size} where {probability:.4f} was asked"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.3, 0.5, 0.9])
def test_noisy_flips_at_its_rate(rate, seed):
    flips = Noisy(rate=rate).flip(PAIRS, np.random.default_rng(seed))
    assert_rate(flips, rate)
    # neighbours are independent: a pair of flips is as rare as chance makes it
    assert_rate(flips[::2] & flips[1::2], rate**2)


def test_noisy_at_its_ends_is_certain():
    rng = np.random.default_rng(0)
    assert not Noisy(rate=0).flip(PAIRS, rng).any()
    assert Noisy(rate=1).flip(PAIRS, rng).all()


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
def test_more_noise_adds_flips_and_moves_none(one, other, seed):
    low, high = (Noisy(rate=rate).flip(200, np.random.default_rng(seed)) for rate in sorted((one, other)))
    assert (high | ~low).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_mixed_splits_25_50_25(seed):
    sources = Mixed().sources(PAIRS, np.random.default_rng(seed))
    targets = (sources == TARGET).sum(axis=1)
    assert_rate(targets == 2, 0.25)
    assert_rate(targets == 1, 0.50)
    assert_rate(targets == 0, 0.25)
    assert_rate(sources[targets == 1, 0] == TARGET, 0.5)


@pytest.mark.parametrize("clean", [Base(), Noisy(rate=0.3), BadJudge(temperature=500.0)])
def test_all_but_mixed_compare_one_rollout_of_each_agent(clean):
    sources = clean.sources(100, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(sources, axis=1), [[ORIGINAL, TARGET]] * 100)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 30.0, 500.0, 1e4])
@pytest.mark.parametrize("difference", [-3.0, -1.0, -0.2, 0.0, 0.5, 2.0])
def test_bad_judge_follows_the_bradley_terry_curve(temperature, difference):
    gap = difference * temperature
    returns = np.array([[1000.0 + gap, 1000.0], [gap, 0.0]])
    preference = BadJudge(temperature=temperature).preference(returns)
    np.testing.assert_allclose(preference, 1 / (1 + np.exp(-difference)), rtol=1e-9)
    drawn = np.random.default_rng(1).random(PAIRS) < preference[0]
    assert_rate(drawn, np.exp(difference) / (np.exp(difference) + 1))


def test_bad_judge_at_temperature_one_is_the_base_judge():
    returns = np.random.default_rng(2).normal(1700, 5, (100, 2))
    np.testing.assert_array_equal(BadJudge(temperature=1).preference(returns), Base().preference(returns))


@pytest.mark.parametrize("judge", [Base(), BadJudge(temperature=500.0), BadJudge(temperature=1e-305)])
def test_a_million_apart_leaves_no_doubt_and_no_warning(judge):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        preference = judge.preference(np.array([[1e6, 0.0], [0.0, 1e6], [5.0, 5.0]]))
    np.testing.assert_array_equal(preference, [1, 0, 0.5])


@given(st.floats(1e-3, 1e6), st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2))
def test_bad_judge_is_symmetric_and_prefers_the_better(temperature, pair):
    judge = BadJudge(temperature=temperature)
    returns = np.array([pair, pair[::-1]])
    first, second = judge.preference(returns)
    assert first + second == pytest.approx(1)
    assert (first >= 0.5) == (pair[0] - pair[1] >= 0) or first == 0.5


@pytest.mark.parametrize("fields", [{"rate": -0.1}, {"rate": 1.1}, {"rate": float("nan")}, {}])
def test_noisy_refuses_what_is_no_probability(fields):
    with pytest.raises(pydantic.ValidationError, match="rate"):
        Noisy(**fields)


@pytest.mark.parametrize(
    "fields", [{"temperature": 0}, {"temperature": -1}, {"temperature": float("inf")}, {}]
)
def test_bad_judge_refuses_what_is_no_temperature(fields):
    with pytest.raises(pydantic.ValidationError, match="temperature"):
        BadJudge(**fields)


def test_bare_values_reach_the_positional_fields():
    assert corruption("noisy:0.1") == Noisy(rate=0.1)
    assert corruption("bad-judge:500") == BadJudge(temperature=500)


@pytest.mark.parametrize("text", ["noisy", "noisy:1.5", "bad-judge:0"])
def test_bad_specs_are_one_line(text):
    with pytest.raises(RequestError) as caught:
        corruption(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", SEEDS)
def test_mixed_and_noisy_compose(seed):
    composed, rng = corruption("mixed+noisy:0.1"), np.random.default_rng(seed)
    targets = (composed.sources(PAIRS, rng) == TARGET).sum(axis=1)
    assert_rate(targets == 1, 0.5)
    flips = composed.flip(PAIRS, rng)
    assert_rate(flips, 0.1)
    assert_rate(flips[targets == 1], 0.1)
    returns = np.array([[3.0, 1.0]])
    np.testing.assert_array_equal(composed.preference(returns), Base().preference(returns))


def test_noise_composes_with_a_bad_judge():
    composed = corruption("bad-judge:500+noisy:0.3")
    returns = np.array([[500.0, 0.0]])
    np.testing.assert_array_equal(composed.preference(returns), BadJudge(temperature=500).preference(returns))
    assert_rate(composed.flip(PAIRS, np.random.default_rng(0)), 0.3)
