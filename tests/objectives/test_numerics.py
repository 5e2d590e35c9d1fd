"""The shared functions against 40-digit arithmetic, in single precision."""

from __future__ import annotations

import array_api_compat.torch as torch_namespace
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf
from scipy.special import log_expit

from mpobench_objectives.numerics import LOGP_CEILING, as_array_like, log_odds, log_sigmoid, relu

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
