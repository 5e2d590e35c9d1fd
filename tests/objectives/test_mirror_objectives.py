"""What the mirror objectives are for particular φ, ψ and g, in closed form and as networks."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirror_samples import FOUND, NETWORKS, with_networks
from objective_samples import LIBRARIES, build, has_networks, torch_gradients

from mpobench.testing.pairs import random_pairs
from mpobench_objectives.mirror.potentials import inverse_potential
from mpobench_objectives.mirror.weights import LOG, added_term, one_unit

SEEDS = st.integers(0, 2**32 - 1)


def loss(objective, pairs, library=np, dtype="float64"):
    return np.asarray(objective.loss(pairs.batch(library, dtype)))


def improbable(pairs):
    """The same with all means below −8 nats, as they are on the Three-Legged Ant."""
    moved = {
        side: getattr(pairs, side) - 8 * getattr(pairs, f"{side.rpartition('_')[2]}_length")
        for side in ("chosen", "rejected", "reference_chosen", "reference_rejected")
    }
    return replace(pairs, **moved)


def dpo_on_means():
    return build("dpo", beta=1, reduction="mean")


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("beta", [0.1, 3.0])
def test_the_inverse_of_exp_makes_dpo_exactly(library, beta, reduction):
    pairs, fields = random_pairs(1), {"beta": beta, "reduction": reduction}
    np.testing.assert_array_equal(
        loss(build("2s-mpo", phi="log", **fields), pairs, library, "float32"),
        loss(build("dpo", **fields), pairs, library, "float32"),
    )


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
@pytest.mark.parametrize("lam", [0.1, 3.0])
def test_log_and_logit_make_orpo_exactly_as_closed_forms_and_as_networks(library, lam):
    pairs = random_pairs(2)
    orpo = loss(build("orpo", lam=lam), pairs, library, "float32")
    closed = build("1s-mpo", psi="log", phi="logit", lam=lam)
    networks = type(closed).start().model_copy(update={"lam": lam})
    np.testing.assert_array_equal(loss(closed, pairs, library, "float32"), orpo)
    np.testing.assert_array_equal(loss(networks, pairs, library, "float32"), orpo)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(seed=SEEDS)
def test_a_two_step_search_starts_from_dpo(dtype, seed):
    pairs = random_pairs(seed)
    start = type(build("2s-mpo")).start()
    for law, among, rtol in (
        (build("2s-mpo", phi="logit"), pairs, 2e-5),
        (dpo_on_means(), improbable(pairs), 1e-3),
    ):
        expected = torch_gradients(law, among, dtype)
        for ours, theirs in zip(torch_gradients(start, among, dtype), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-6)


@given(seed=SEEDS)
def test_a_temporally_aware_search_starts_from_the_paper_s_own(seed):
    pairs = random_pairs(seed)
    start, paper = type(build("tampo")).start(), build("tampo", beta=1, gamma=0)
    logit = build("tampo", beta=1, gamma=0, phi="logit")
    np.testing.assert_allclose(loss(start, pairs), loss(logit, pairs), rtol=2e-6, atol=1e-6)
    pairs = improbable(pairs)
    np.testing.assert_allclose(loss(start, pairs), loss(paper, pairs), rtol=1e-4, atol=1e-4)


@given(seed=SEEDS, beta=st.floats(0.01, 10))
def test_one_step_with_two_logs_is_cpo_on_means(seed, beta):
    pairs = random_pairs(seed)
    np.testing.assert_allclose(
        loss(build("1s-mpo", beta=beta), pairs),
        loss(build("cpo", beta=beta, reduction="mean"), pairs),
        rtol=1e-12,
    )


@given(seed=SEEDS, lam=st.floats(0.1, 10))
def test_one_step_with_a_linear_g_is_lpo(seed, lam):
    pairs = random_pairs(seed)
    np.testing.assert_allclose(
        loss(build("1s-mpo", g="linear", lam=lam), pairs) / lam,
        loss(build("lpo", lam=1 + 1 / lam), pairs),
        rtol=1e-10,
    )


LOGPS = np.linspace(-14, -0.01, 50)


def test_tsallis_is_the_logarithm_at_1_and_the_square_norm_at_2():
    log, l2 = inverse_potential(np, "log", LOGPS, 1.0), inverse_potential(np, "l2", LOGPS, 1.0)
    np.testing.assert_array_equal(inverse_potential(np, "tsallis", LOGPS, 1.0), log)
    for q in (1 - 1e-9, 1 + 1e-9):
        np.testing.assert_allclose(inverse_potential(np, "tsallis", LOGPS, q), log, rtol=1e-7)
    np.testing.assert_allclose(2 + 2 * inverse_potential(np, "tsallis", LOGPS, 2.0), l2, rtol=1e-9)
    np.testing.assert_array_equal(l2, 2 * np.exp(LOGPS))


def test_tsallis_is_differentiable_in_its_index_at_the_logarithm():
    slope = jax.jit(jax.grad(lambda q: inverse_potential(jnp, "tsallis", jnp.float32(-3.0), q)))
    np.testing.assert_allclose([slope(1.0), slope(1.0 + 1e-3)], [4.5, 4.5], rtol=5e-3)


@pytest.mark.parametrize("potential", ["log", "logit", "tsallis", "l2"])
@given(
    logps=st.lists(st.floats(-1e4, 5, width=32), min_size=2, max_size=6),
    q=st.floats(0.1, 3),
)
def test_closed_forms_are_increasing(potential, logps, q):
    value = inverse_potential(np, potential, np.array(sorted(logps)), q)
    assert np.isfinite(value).all()
    assert (np.diff(value) >= -1e-12 * np.abs(value).max()).all()


@pytest.mark.parametrize("name", [*NETWORKS, *FOUND])
@given(seed=SEEDS)
def test_networks_make_losses_that_prefer_the_chosen_side(name, seed):
    objective = build(name) if name in FOUND else with_networks(name, seed % 1000)
    _, by_chosen, by_rejected = torch_gradients(objective, random_pairs(seed), "float64")
    assert (by_chosen <= 0).all()
    assert (by_rejected >= 0).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_replaces_its_closed_form_and_no_other(name):
    pairs = random_pairs(3)
    same = {"phi_network": one_unit(LOG), "psi_network": added_term(), "g_network": added_term()}
    plain = loss(build(name), pairs)
    for field in NETWORKS[name]:
        if field in same:
            np.testing.assert_allclose(loss(build(name, **{field: same[field]}), pairs), plain, rtol=1e-9)
    ignored = build(name, phi_network=one_unit(LOG), phi="l2")
    np.testing.assert_allclose(loss(ignored, pairs), plain, rtol=1e-9)
    assert not np.allclose(loss(build(name, phi="l2"), pairs), plain)


def test_stages():
    assert build("2s-mpo").needs_reference
    assert build("2s-mpo").two_stage
    assert not build("1s-mpo").two_stage
    assert not build("tampo").two_stage


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("sft", {}),
        ("cpo", {"beta": 0.3}),
        ("orpo", {"lam": 0.3}),
        ("lpo", {"lam": 30.0}),
        ("tampo", {"beta": 0.3, "gamma": 0.2}),
        ("tampo", {"schedule": "linear"}),
    ],
)
def test_a_loss_written_by_hand_is_the_same_as_networks(name, fields):
    means = {} if name == "orpo" else {"reduction": "mean"}  # orpo's are means by definition
    objective, pairs = build(name, **means, **fields), random_pairs(3)
    networks = objective.as_networks()
    assert has_networks(networks)
    constant = loss(networks, pairs) - loss(objective, pairs)
    np.testing.assert_allclose(constant, constant[0], atol=1e-5)


@pytest.mark.parametrize(("field", "value"), [("psi", "tsallis"), ("phi", "logit"), ("g", "linear")])
def test_a_form_that_the_networks_do_not_have_is_refused(field, value):
    with pytest.raises(ValueError, match=f"leave out {field}$"):
        build("tampo", **{field: value}).as_networks()
