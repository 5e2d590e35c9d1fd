"""The shared functions against 40-digit arithmetic, in single precision."""

from __future__ import annotations

import array_api_compat.torch as torch_namespace
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf
from scipy.special import expit, log_expit

from mpobench_objectives.numerics import (
    EXP_CEILING,
    LOGP_CEILING,
    as_array_like,
    box_cox,
    detached,
    exponential,
    log_odds,
    log_sigmoid,
    logistic_loss,
    relu,
    sigmoid,
)

mp.dps = 40

finite = st.floats(-1e4, 1e4, width=32)
below_one = st.floats(-1e4, -(2**-19), width=32)


@given(finite)
def test_log_sigmoid(x):
    expected = log_expit(x)
    for got in (
        log_sigmoid(jnp, jnp.float32(x)),
        log_sigmoid(np, np.float32(x)),
        log_sigmoid(torch_namespace, torch.tensor(x)),
    ):
        assert float(got) == pytest.approx(expected, rel=2e-6, abs=1e-37)
    assert float(logistic_loss(np, np.float32(x))) == -float(log_sigmoid(np, np.float32(x)))


@given(finite)
def test_sigmoid_and_its_slope(x):
    at = torch.tensor(x, requires_grad=True)
    got = sigmoid(torch_namespace, at)
    got.backward()
    assert got.item() == pytest.approx(expit(x), rel=2e-5, abs=1e-37)
    assert at.grad.item() == pytest.approx(expit(x) * expit(-x), rel=2e-5, abs=1e-37)


@given(st.floats(-100, EXP_CEILING, width=32))
def test_exponential_below_its_ceiling(x):
    at = torch.tensor(x, requires_grad=True)
    got = exponential(torch_namespace, at)
    got.backward()
    assert got.item() == at.grad.item() == pytest.approx(np.exp(x), rel=1e-6)


@given(st.floats(EXP_CEILING, 1e4, width=32))
def test_exponential_follows_its_tangent_beyond(x):
    at = torch.tensor(x, requires_grad=True)
    got = exponential(torch_namespace, at)
    got.backward()
    assert at.grad.item() == pytest.approx(np.exp(EXP_CEILING), rel=1e-6)
    assert got.item() == pytest.approx(np.exp(EXP_CEILING) * (1 + x - EXP_CEILING), rel=1e-6)


@given(log_x=st.floats(-14, 14), power=st.floats(-2, 2))
def test_box_cox(log_x, power):
    x, p = mp.exp(mpf(log_x)), mpf(power)
    value, slope = (mp.expm1(p * mpf(log_x)) / p if power else mpf(log_x)), x**p
    at = torch.tensor(log_x, dtype=torch.float64, requires_grad=True)
    got = box_cox(torch_namespace, at, power)
    got.backward()
    assert got.item() == pytest.approx(float(value), rel=1e-10, abs=1e-12)
    assert at.grad.item() == pytest.approx(float(slope), rel=1e-10)


@given(log_x=st.floats(-1e4, 1e4, width=32), power=st.floats(-1, 1, width=32))
def test_box_cox_rises_and_stays_finite(log_x, power):
    at, p = torch.tensor(log_x, requires_grad=True), torch.tensor(power, requires_grad=True)
    got = box_cox(torch_namespace, at, p)
    got.backward()
    assert torch.isfinite(got)
    assert torch.isfinite(p.grad)
    assert 0 <= at.grad.item() < 1e14


def test_detached_values_have_no_gradient():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    assert not detached(torch_namespace, x).requires_grad
    assert detached(np, np.ones(2)).tolist() == [1, 1]

    def product(x):
        return (x * detached(jnp, x)).sum()

    slopes = jax.jit(jax.grad(product))(jnp.asarray([1.0, 2.0]))
    np.testing.assert_array_equal(slopes, [1, 2])  # not 2x
    np.testing.assert_array_equal(
        torch.func.grad(lambda x: (x * detached(torch_namespace, x)).sum())(x), [1, 2]
    )


@given(below_one)
def test_log_odds_below_one(logp):
    p = mp.exp(mpf(logp))
    value, slope = float(mp.log(p / (1 - p))), float(1 / (1 - p))
    x = torch.tensor(logp, requires_grad=True)
    got = log_odds(torch_namespace, x)
    got.backward()
    assert got.item() == pytest.approx(value, rel=1e-5, abs=1e-6)
    assert x.grad.item() == pytest.approx(slope, rel=1e-5)


@given(st.floats(-(2**-21), 1e4, width=32))
def test_log_odds_of_a_density_stay_where_they_were_and_have_no_gradient(logp):
    x = torch.tensor([logp, LOGP_CEILING], requires_grad=True)
    got, ceiling = log_odds(torch_namespace, x)
    got.backward()
    assert got.item() == ceiling.item() == pytest.approx(np.log(1e6), rel=1e-5)
    assert x.grad[0].item() == 0


def test_log_odds_hide_no_nan():
    assert np.isnan(log_odds(np, np.array([np.nan]))).all()
    assert torch.isnan(log_odds(torch_namespace, torch.tensor([float("nan")]))).all()


@given(finite)
def test_relu(x):
    assert float(relu(np, np.float32(x))) == max(0.0, x)
    assert float(relu(torch_namespace, torch.tensor(x))) == max(0.0, x)


@pytest.mark.parametrize("value", [0.25, np.float64(0.25), np.asarray(0.25)])
def test_as_array_like_keeps_the_other_dtype(value):
    got = as_array_like(np, value, np.ones(3, dtype=np.float32))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.full(3, 0.25, dtype=np.float32))
