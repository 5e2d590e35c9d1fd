"""The networks for φ⁻¹, ψ, g and the schedule: the published function, increasing, finite, traceable."""

from __future__ import annotations

import functools
import warnings

import array_api_compat.torch as torch_namespace
import jax
import jax.numpy as jnp
import numpy as np
import pydantic
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mirror_samples import COMPILED_QUICKLY, FOUND, NETWORKS, exact_functions, random_network, with_networks
from mpmath import mp, mpf
from objective_samples import build, torch_gradients

from mpobench import Tensors
from mpobench.testing.pairs import Pairs, random_pairs
from mpobench_objectives.mirror import network
from mpobench_objectives.mirror.weights import LOG, SHAPES, SQUARE, added_term, one_unit

mp.dps = 40
STEP = mpf(10) ** -12
SEEDS = st.integers(0, 2**32 - 1)

FUNCTIONS = {  # and what they take
    "phi_inverse": (network.phi_inverse, st.floats(-1e4, 5, width=32)),
    "psi": (network.psi, st.floats(-1e4, 5, width=32)),
    "g": (network.g, st.floats(-1e4, 1e4, width=32)),
    "schedule": (network.schedule, st.floats(0, 1, width=32)),
}


def exact_loss(objective, pairs: Pairs, row: int, to_chosen: mpf, to_rejected: mpf) -> mpf:
    """Minus Eq. 10, 11 or 12 of a pair, with networks wherever the objective has them."""
    psi, phi, g, alpha = exact_functions(objective, mpf(pairs.progress))
    steps = [
        mpf(length[row]) if objective.reduction == "mean" else mpf(1)
        for length in (pairs.chosen_length, pairs.rejected_length)
    ]
    moved = mpf(pairs.chosen[row]) + to_chosen, mpf(pairs.rejected[row]) + to_rejected
    w, l = (mp.exp(total / n) for total, n in zip(moved, steps, strict=True))  # noqa: E741
    beta = mpf(objective.beta)
    if objective.needs_reference:
        reference = mpf(pairs.reference_chosen[row]), mpf(pairs.reference_rejected[row])
        ref_w, ref_l = (mp.exp(total / n) for total, n in zip(reference, steps, strict=True))
        return -g(beta * (phi(w) - phi(ref_w) - phi(l) + phi(ref_l)))
    if hasattr(objective, "lam"):
        return -psi(w) - mpf(objective.lam) * g(beta * (phi(w) - phi(l)))
    return -(1 - alpha) * psi(w) - alpha * g(beta * (phi(w) - phi(l)) - mpf(objective.gamma))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", [*NETWORKS, *FOUND])
def test_value_and_gradient_are_the_published_ones(name, seed):
    objective = build(name) if name in FOUND else with_networks(name, seed, beta=0.7)
    for dtype, tolerance in (("float64", 1e-9), ("float32", 2e-3)):
        pairs = random_pairs(seed, pairs=3).rounded(dtype)
        rows = [
            [exact_loss(objective, pairs, row, *moved) for row in range(3)]
            for moved in [(0, 0), (STEP, 0), (-STEP, 0), (0, STEP), (0, -STEP)]
        ]
        value, up_w, down_w, up_l, down_l = (np.array(row) for row in rows)
        expected = value, (up_w - down_w) / (2 * STEP), (up_l - down_l) / (2 * STEP)
        for ours, theirs in zip(torch_gradients(objective, pairs, dtype), expected, strict=True):
            exact = theirs.astype(float)
            np.testing.assert_allclose(
                ours, exact, rtol=tolerance, atol=tolerance * np.abs(exact).max(initial=1e-6)
            )


@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data(), seed=SEEDS, largest=st.sampled_from([0.1, 1.0, 10.0]))
def test_is_increasing_and_finite(name, data, seed, largest):
    function, inputs = FUNCTIONS[name]
    drawn = sorted(data.draw(st.lists(inputs, min_size=2, max_size=8)))
    weights = random_network(seed, largest)
    x = torch.tensor(drawn, dtype=torch.float32, requires_grad=True)
    value = function(torch_namespace, weights, x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    assert torch.isfinite(value).all()
    assert torch.isfinite(slope).all()
    if name == "schedule":  # its two ends are read off the same network, with their rounding
        assert (slope >= -1e-6).all()
        assert value.min() >= 0
        assert value.max() <= 1
    else:
        assert (slope >= 0).all()
    exact = function(np, weights, np.array(drawn))
    rounding = 1e-12 * np.abs(exact).max()
    assert (np.diff(exact) >= -rounding).all()


EDGES = np.array([-1e4, -700.0, -104.0, -88.0, -62.2, -62.1, -30.0, -8.0, -1e-7, 0.0, 5.0])
EVERY_PAIR = Pairs(
    chosen=np.repeat(EDGES, len(EDGES)),
    rejected=np.tile(EDGES, len(EDGES)),
    reference_chosen=np.tile(EDGES[::-1], len(EDGES)),
    reference_rejected=np.repeat(EDGES[::-1], len(EDGES)),
    chosen_length=np.ones(len(EDGES) ** 2),
    rejected_length=np.ones(len(EDGES) ** 2),
)


@pytest.mark.parametrize("name", NETWORKS)
def test_extremes_are_finite_in_value_and_all_gradients(name):
    objective = type(build(name)).start()

    @functools.partial(jax.jit, compiler_options=COMPILED_QUICKLY)
    def gradients(leaves, chosen, rejected):
        def loss(leaves, chosen, rejected):
            sides = EVERY_PAIR.batch(jnp, "float32", chosen=chosen, rejected=rejected)
            return objective.model_copy(update=leaves).loss(sides)

        value, pull_back = jax.vjp(loss, leaves, chosen, rejected)
        return value, *pull_back(jnp.ones_like(value))

    totals = [jnp.asarray(side, jnp.float32) for side in (EVERY_PAIR.chosen, EVERY_PAIR.rejected)]
    for tried in (objective, with_networks(name, 5), with_networks(name, 6, largest=10.0)):
        value, by_leaves, *by_sides = gradients(tried.params, *totals)
        assert all(np.isfinite(slope).all() for slope in jax.tree.leaves(by_leaves))
        by_torch = torch_gradients(tried, EVERY_PAIR, "float32")
        for ours, theirs in zip((value, *by_sides), by_torch, strict=True):
            assert np.isfinite(ours).all()
            assert np.isfinite(theirs).all()
            scale = np.abs(theirs).max(initial=1e-3)
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * scale)
        for by_chosen, by_rejected in (by_sides, by_torch[1:]):
            assert (by_chosen <= 0).all()
            assert (by_rejected >= 0).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_population_of_networks_is_one_program(name):
    population = [with_networks(name, seed) for seed in range(8)]
    batch = random_pairs(1).batch(jnp, "float32")

    def mean_loss(leaves):
        losses = population[0].model_copy(update=leaves).loss(batch)
        return losses.mean(), losses

    every = [each.params for each in population]
    stacked = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *every)
    program = jax.jit(jax.vmap(jax.grad(mean_loss, has_aux=True)), compiler_options=COMPILED_QUICKLY)
    slopes, together = program(stacked)
    pairs = random_pairs(1)
    alone = np.stack([each.loss(pairs.batch(np, "float32")) for each in population])
    np.testing.assert_allclose(together, alone, rtol=2e-4, atol=2e-5 * np.abs(alone).max())
    assert all(np.isfinite(slope).all() for slope in jax.tree.leaves(slopes))
    assert np.abs(slopes["phi_network"]["kernel_in"]).max() > 0
    assert len({each.static for each in population}) == 1
    assert len(set(population)) == 8


@pytest.mark.parametrize("name", NETWORKS)
def test_torch_differentiates_the_weights_and_warns_of_nothing(name):
    objective, batch = with_networks(name, 0), random_pairs(1).batch(torch, "float32")
    tensors = {
        field: {part: torch.tensor(np.array(array), requires_grad=True) for part, array in value.items()}
        for field, value in objective.params.items()
        if isinstance(value, dict)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = objective.loss(batch)
        traced = objective.model_copy(update=tensors).loss(batch)
    np.testing.assert_array_equal(constant, traced.detach())
    weights = tensors["g_network"]
    slopes = torch.autograd.grad(traced.sum(), list(weights.values()))
    assert all(torch.isfinite(slope).all() for slope in slopes)
    assert slopes[list(weights).index("kernel_out")].abs().max() > 0


@given(logp=st.floats(-60, -(2**-10), width=32))
def test_one_log_unit_is_the_log_probability_to_rounding(logp):
    x = torch.tensor([logp], requires_grad=True)
    value = network.phi_inverse(torch_namespace, one_unit(LOG), x)
    value.sum().backward()
    assert value.item() == pytest.approx(logp, rel=3e-7, abs=1e-7)
    assert x.grad.item() == pytest.approx(1, rel=3e-7)


def test_a_schedule_begins_at_0_and_ends_at_1():
    t = np.linspace(0, 1, 11)
    np.testing.assert_allclose(network.schedule(np, added_term(0.0), t), t, rtol=1e-12)
    np.testing.assert_allclose(network.schedule(np, added_term(3.0), t), t, rtol=1e-12)
    np.testing.assert_allclose(network.schedule(np, one_unit(SQUARE), t), t**2, atol=1e-6)
    for seed in range(5):
        alpha = network.schedule(np, random_network(seed), t)
        assert alpha[0] == 0
        assert alpha[-1] == 1
        assert (np.diff(alpha) >= -1e-12).all()


def spoilt(part: str, array: object) -> dict[str, object]:
    weights = dict(added_term())
    if array is None:
        del weights[part]
    else:
        weights[part] = array
    return weights


@pytest.mark.parametrize(
    ("weights", "line"),
    [
        (spoilt("bias", None), r"no tensor 'bias' \(tensors: kernel_in, bias, kernel_out, coefficient\)"),
        (spoilt("bias", np.zeros(126, np.float32)), r"'bias' has shape \(126,\), not \(9, 14\)"),
        (spoilt("bias", np.zeros((9, 14))), "'bias' has dtype float64, not float32"),
        (spoilt("bias", np.full((9, 14), np.inf, np.float32)), "'bias' holds a number that is not finite"),
        (spoilt("kernel_in", np.full((9, 14), -1e-9, np.float32)), "'kernel_in' has a negative number"),
        (spoilt("kernel_out", np.full((9, 14), -1, np.float32)), "'kernel_out' has a negative number"),
        (spoilt("coefficient", np.float32(-1)), "'coefficient' has a negative number"),
        (spoilt("gain", np.float32(1)), "a network has no tensor 'gain'"),
        ("zeros", "arrays cannot be written in a spec"),
        ({"bias": [0.0]}, "'bias' is no array"),
    ],
)
@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, fields in NETWORKS.items() for field in fields]
)
def test_weights_that_make_no_increasing_network_are_refused(name, field, weights, line):
    with pytest.raises(pydantic.ValidationError, match=line):
        build(name, **{field: weights})


def test_biases_may_be_negative():
    weights = spoilt("bias", np.full(SHAPES["bias"], -1, np.float32))
    assert build("1s-mpo", g_network=weights).g_network == Tensors(weights)
