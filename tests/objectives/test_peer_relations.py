"""How the peers' losses relate to DPO, SimPO, CPO and to each other: their limits and special cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from objective_samples import build, torch_gradients

from mpobench import Objective
from mpobench.testing.pairs import Pairs, random_pairs

SEEDS = st.integers(0, 2**32 - 1)
RATES = st.floats(0.01, 0.45)
BETAS = st.floats(0.01, 10)
REDUCTIONS = st.sampled_from(["sum", "mean"])


def loss(objective: Objective, pairs: Pairs) -> np.ndarray:
    return np.asarray(objective.loss(pairs.batch(np, "float64")))


def swapped(pairs: Pairs) -> Pairs:
    """Every label flipped."""
    return replace(
        pairs,
        chosen=pairs.rejected,
        rejected=pairs.chosen,
        reference_chosen=pairs.reference_rejected,
        reference_rejected=pairs.reference_chosen,
        chosen_length=pairs.rejected_length,
        rejected_length=pairs.chosen_length,
    )


def single(pairs: Pairs, row: int) -> Pairs:
    """The batch that has one of the pairs only."""
    return Pairs(
        **{
            name: value[row : row + 1] if isinstance(value, np.ndarray) else value
            for name, value in vars(pairs).items()
        }
    )


SAME_AS_DPO = {
    "cdpo": {"epsilon": 0},
    "robust-dpo": {"epsilon": 0},
    "fdpo": {"divergence": "reverse_kl"},
    "fdpo at alpha 0": {"divergence": "alpha", "alpha": 0},
}


@pytest.mark.parametrize("case", SAME_AS_DPO)
@given(seed=SEEDS, beta=BETAS, reduction=REDUCTIONS)
def test_is_dpo_in_the_limit(case, seed, beta, reduction):
    pairs, fields = random_pairs(seed), {"beta": beta, "reduction": reduction}
    ours = torch_gradients(build(case.split()[0], **SAME_AS_DPO[case], **fields), pairs, "float64")
    for mine, dpos in zip(ours, torch_gradients(build("dpo", **fields), pairs, "float64"), strict=True):
        np.testing.assert_allclose(mine, dpos, rtol=1e-12, atol=1e-300)


@given(seed=SEEDS, beta=BETAS)
def test_sigmoid_norm_is_dpo_on_means(seed, beta):
    pairs = random_pairs(seed)
    expected = loss(build("dpo", beta=beta, reduction="mean"), pairs)
    np.testing.assert_allclose(loss(build("sigmoid_norm", beta=beta), pairs), expected, rtol=1e-12)


@given(seed=SEEDS, beta=BETAS, reduction=REDUCTIONS)
def test_chipo_far_below_the_reference_is_dpo(seed, beta, reduction):
    pairs, fields = random_pairs(seed), {"beta": beta, "reduction": reduction}
    steps = (pairs.chosen_length, pairs.rejected_length) if reduction == "mean" else (1.0, 1.0)
    above = [60 * n for n in steps]
    low = replace(
        pairs, reference_chosen=pairs.chosen + above[0], reference_rejected=pairs.rejected + above[1]
    )
    low = replace(low, chosen=low.chosen - np.linspace(0, 9, 16) * steps[0])
    np.testing.assert_allclose(
        loss(build("chipo", **fields, r_max=1e3), low), loss(build("dpo", **fields), low), rtol=1e-9
    )


def test_chipo_gives_up_beyond_its_clip():
    level, ones = np.zeros(2), np.ones(2)
    pairs = Pairs(np.array([-1e3, 2.0]), np.array([0.0, -1e3]), level, level, ones, ones)
    value, by_chosen, by_rejected = torch_gradients(build("chipo", beta=1, r_max=3), pairs, "float64")
    np.testing.assert_allclose(value, [np.log1p(np.exp(6)), np.log1p(np.exp(-6))])
    assert not by_chosen.any()
    assert not by_rejected.any()


@given(seed=SEEDS, epsilon=RATES, beta=BETAS)
def test_robust_dpo_is_unbiased_under_flips_and_cdpo_is_not(seed, epsilon, beta):
    pairs, fields = random_pairs(seed), {"beta": beta, "epsilon": epsilon}
    dpo, robust = build("dpo", beta=beta), build("robust-dpo", **fields)
    expected = (1 - epsilon) * loss(robust, pairs) + epsilon * loss(robust, swapped(pairs))
    scale = (loss(dpo, pairs) + loss(dpo, swapped(pairs))).max() / (1 - 2 * epsilon)
    np.testing.assert_allclose(expected, loss(dpo, pairs), rtol=1e-9, atol=1e-13 * scale)
    noisy_dpo = (1 - epsilon) * loss(dpo, pairs) + epsilon * loss(dpo, swapped(pairs))
    np.testing.assert_allclose(loss(build("cdpo", **fields), pairs), noisy_dpo, rtol=1e-12)


def at_margin(margin: float) -> Pairs:
    """One pair of one step, whose log-ratio margin is this."""
    one, zero = np.ones(1), np.zeros(1)
    return Pairs(np.array([margin]), zero, zero, zero, one, one)


@given(epsilon=RATES, beta=BETAS)
def test_cdpo_and_exo_stop_where_the_policy_is_as_sure_as_the_label(epsilon, beta):
    optimum = np.log((1 - epsilon) / epsilon) / beta
    for name, least in (
        ("cdpo", -(1 - epsilon) * np.log(1 - epsilon) - epsilon * np.log(epsilon)),
        ("exo_pair", 0),
    ):
        objective = build(name, epsilon=epsilon, beta=beta)
        value, slope, _ = torch_gradients(objective, at_margin(optimum), "float64")
        assert value[0] == pytest.approx(least, abs=1e-12)
        assert slope[0] == pytest.approx(0, abs=1e-12)
        for away in (-1, 1):
            assert loss(objective, at_margin(optimum + away)) > value


@given(seed=SEEDS, beta=BETAS)
def test_hinge_and_slic_are_one_hinge(seed, beta):
    pairs = random_pairs(seed)
    uniform = replace(pairs, reference_chosen=np.zeros(16), reference_rejected=np.zeros(16))
    expected = beta * loss(build("slic", delta=1 / beta, lam=0), pairs)
    np.testing.assert_allclose(loss(build("hinge", beta=beta), uniform), expected, rtol=1e-9, atol=1e-9)


@given(seed=SEEDS, beta=BETAS, reduction=REDUCTIONS)
def test_apo_zero_is_kto_whose_reference_point_is_zero(seed, beta, reduction):
    pairs, fields = random_pairs(seed), {"beta": beta, "reduction": reduction}
    steps = (pairs.chosen_length, pairs.rejected_length) if reduction == "mean" else (1.0, 1.0)
    # below the reference on average, where KTO's point is 0
    low = replace(pairs, chosen=pairs.chosen - 40 * steps[0], rejected=pairs.rejected - 40 * steps[1])
    np.testing.assert_allclose(
        loss(build("apo_zero", **fields), low), loss(build("kto", **fields), low), rtol=1e-12
    )


@given(seed=SEEDS, beta=BETAS)
def test_apo_down_adds_up(seed, beta):
    pairs = random_pairs(seed)
    both = loss(build("apo_down", beta=beta), pairs) - loss(build("apo_down", beta=beta), swapped(pairs))
    # σ(r_w) − σ(r_l) + σ(r_l − r_w) − σ(r_w − r_l), by APO-zero and by tanh
    zero = 1 - loss(build("apo_zero", beta=beta), pairs)
    margin = pairs.chosen - pairs.reference_chosen - pairs.rejected + pairs.reference_rejected
    np.testing.assert_allclose(both, zero - np.tanh(beta * margin / 2), atol=1e-9)


@given(seed=SEEDS, beta=BETAS)
def test_bco_looks_at_rewards_relative_to_their_mean(seed, beta):
    pairs, bco = random_pairs(seed), build("bco_pair", beta=beta)
    richer = replace(pairs, chosen=pairs.chosen + 7, rejected=pairs.rejected + 7)
    np.testing.assert_allclose(loss(bco, richer), loss(bco, pairs), rtol=1e-9)
    centred = build("bco_pair", beta=beta, shift=False)
    assert not np.allclose(loss(centred, richer), loss(centred, pairs), rtol=1e-6, atol=0)
    ratios = pairs.chosen - pairs.reference_chosen, pairs.rejected - pairs.reference_rejected
    mean = np.mean(ratios)
    level = replace(pairs, chosen=pairs.chosen - mean, rejected=pairs.rejected - mean)
    np.testing.assert_allclose(loss(centred, level), loss(bco, pairs), rtol=1e-9)


@pytest.mark.parametrize("name", ["aot", "aot_unpaired"])
@given(seed=SEEDS, beta=BETAS)
def test_aot_of_one_pair_is_dpo_and_of_many_forgets_who_came_with_whom(name, seed, beta):
    pairs, aot = random_pairs(seed), build(name, beta=beta)
    one = single(pairs, seed % 16)
    np.testing.assert_allclose(loss(aot, one), loss(build("dpo", beta=beta), one), rtol=1e-9)
    order = np.random.default_rng(seed).permutation(16)
    if name == "aot":  # the reference's margins are a sample, whichever pairs they are of
        other = replace(
            pairs,
            reference_chosen=pairs.reference_chosen[order],
            reference_rejected=pairs.reference_rejected[order],
        )
    else:
        other = replace(
            pairs,
            rejected=pairs.rejected[order],
            reference_rejected=pairs.reference_rejected[order],
            rejected_length=pairs.rejected_length[order],
        )
    np.testing.assert_allclose(loss(aot, other), loss(aot, pairs), rtol=1e-12)


@given(seed=SEEDS)
def test_optimal_transport_costs_no_more_than_any_pairing(seed):
    pairs = random_pairs(seed)
    for name in ("aot", "aot_unpaired"):
        assert loss(build(name), pairs).sum() <= loss(build("dpo"), pairs).sum() + 1e-9


@given(seed=SEEDS)
def test_discopop_is_dpo_far_below_and_exponential_far_above(seed):
    lost, won = at_margin(-5 - seed % 50), at_margin(5 + seed % 50)
    discopop = build("discopop", beta=1)
    np.testing.assert_allclose(loss(discopop, lost), loss(build("dpo", beta=1), lost), rtol=1e-12)
    np.testing.assert_allclose(loss(discopop, won), np.exp(-won.chosen), rtol=1e-12)


@given(seed=SEEDS, beta=BETAS, gamma=st.floats(0, 5))
def test_alphapo_without_its_shape_is_simpo(seed, beta, gamma):
    pairs, fields = random_pairs(seed), {"beta": beta, "gamma": gamma}
    simpo = loss(build("simpo", **fields), pairs)
    np.testing.assert_array_equal(loss(build("alphapo", alpha=0, **fields), pairs), simpo)
    for alpha in (-1e-9, 1e-9):
        np.testing.assert_allclose(loss(build("alphapo", alpha=alpha, **fields), pairs), simpo, rtol=1e-6)


@given(seed=SEEDS, alpha=BETAS)
def test_cpl_without_its_bias_is_dpo_under_a_uniform_reference(seed, alpha):
    pairs = random_pairs(seed)
    uniform = replace(pairs, reference_chosen=np.zeros(16), reference_rejected=np.zeros(16))
    expected = loss(build("dpo", beta=alpha), uniform)
    np.testing.assert_allclose(
        loss(build("cpl", alpha=alpha, lam=1), pairs), expected, rtol=1e-9, atol=1e-300
    )


@given(seed=SEEDS, lam=st.floats(0.01, 0.99), down=st.floats(0.1, 100))
def test_cpl_prefers_the_likelier_of_equal_margins(seed, lam, down):
    pairs, cpl = random_pairs(seed), build("cpl", alpha=0.01, lam=lam)
    unlikelier = replace(pairs, chosen=pairs.chosen - down, rejected=pairs.rejected - down)
    assert (loss(cpl, unlikelier) >= loss(cpl, pairs)).all()
    assert (loss(cpl, unlikelier) > loss(cpl, pairs)).any()


@given(seed=SEEDS, lam=st.floats(0, 10), beta=BETAS, gamma=st.floats(0, 5))
def test_cpo_simpo_is_simpo_plus_cloning(seed, lam, beta, gamma):
    pairs, fields = random_pairs(seed), {"beta": beta, "gamma": gamma}
    expected = loss(build("simpo", **fields), pairs) + lam * loss(build("sft"), pairs)
    np.testing.assert_allclose(loss(build("cpo-simpo", lam=lam, **fields), pairs), expected, rtol=1e-12)


@given(seed=SEEDS, lam=st.floats(0, 10), tau=BETAS)
def test_cpo_ipo_is_ipo_under_a_uniform_reference_plus_cloning(seed, lam, tau):
    pairs = random_pairs(seed)
    uniform = replace(pairs, reference_chosen=np.zeros(16), reference_rejected=np.zeros(16))
    expected = loss(build("ipo", tau=tau), uniform) + lam * loss(build("sft"), pairs)
    np.testing.assert_allclose(loss(build("cpo-ipo", lam=lam, tau=tau), pairs), expected, rtol=1e-9)


@given(seed=SEEDS, beta=BETAS, reduction=REDUCTIONS)
def test_mpo_log_sigmoid_is_a_weighted_cpo(seed, beta, reduction):
    pairs, fields = random_pairs(seed), {"beta": beta, "reduction": reduction}
    cpo = loss(build("cpo", **fields), pairs)
    np.testing.assert_allclose(
        loss(build("mpo-log-sigmoid", alpha=1, lam=1, **fields), pairs), cpo, rtol=1e-12
    )


@given(seed=SEEDS, reduction=REDUCTIONS)
def test_mpo_polynomial_is_the_papers_cubic_by_default(seed, reduction):
    pairs = random_pairs(seed)
    cubic = loss(build("mpo-mixed", reduction=reduction), pairs)
    np.testing.assert_array_equal(loss(build("mpo-polynomial", reduction=reduction), pairs), cubic)


@given(seed=SEEDS, alpha=BETAS, c1=BETAS)
def test_mpo_polynomial_of_the_first_degree_is_lpo_wherever_it_is_cut(seed, alpha, c1):
    pairs, higher = random_pairs(seed), dict.fromkeys(("c2", "c3", "c4", "c5"), 0)
    line = build("mpo-polynomial", alpha=alpha, c1=c1, low=-(seed % 5), high=seed % 3, **higher)
    lpo = build("lpo", lam=(alpha + c1) / c1)
    np.testing.assert_allclose(loss(line, pairs), c1 * loss(lpo, pairs), rtol=1e-9)


COEFFICIENTS = st.tuples(*[st.floats(-3, 3)] * 5)


@given(coefficients=COEFFICIENTS, low=st.floats(-4, 0), high=st.floats(0, 4))
def test_mpo_polynomial_goes_on_along_its_tangents(coefficients, low, high):
    margins = np.array([low - 50, low - 1, low, (low + high) / 2, high, high + 1, high + 50])
    level, ones = np.zeros(7), np.ones(7)
    pairs = Pairs(margins, level, level, level, ones, ones)
    fields = dict(zip(("c1", "c2", "c3", "c4", "c5"), coefficients, strict=True))
    objective = build("mpo-polynomial", alpha=0.5, low=low, high=high, **fields)
    value, by_chosen, by_rejected = torch_gradients(objective, pairs, "float64")

    inside = np.polynomial.Polynomial([0, *coefficients])
    np.testing.assert_allclose(by_rejected, inside.deriv()(np.clip(margins, low, high)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(by_chosen, -0.5 - by_rejected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(value[2:5], -0.5 * margins[2:5] - inside(margins[2:5]), rtol=1e-9, atol=1e-9)
    reached = value[4] + np.array([1, 50]) * by_chosen[4]
    np.testing.assert_allclose(value[5:], reached, rtol=1e-9, atol=1e-9, err_msg="a straight line")


@pytest.mark.parametrize(("name", "slope_below_zero"), [("mpo-mixed", -1), ("mpo-noisy", 1)])
def test_discovered_losses_keep_pushing_as_the_paper_says(name, slope_below_zero):
    """Updates of the preference term grow with a positive margin; for negative ones see the docstrings."""
    margin = np.array([-3.0, -2.0, 1.0, 2.0, 3.0])
    level, ones = np.full(5, -11.0), np.ones(5)
    pairs = Pairs(level, level - margin, level, level, ones, ones)
    _, _, by_rejected = torch_gradients(build(name), pairs, "float64")  # the preference term alone reads τ_l
    assert (np.diff(by_rejected[2:]) > 0).all()
    assert (by_rejected[2:] > 0).all()
    np.testing.assert_array_equal(np.sign(by_rejected[:2]), -slope_below_zero)


@given(seed=SEEDS, beta=BETAS)
def test_wpo_is_dpo_weighted_by_likelihood_without_a_gradient(seed, beta):
    pairs = random_pairs(seed)
    weight = np.exp(pairs.chosen / pairs.chosen_length + pairs.rejected / pairs.rejected_length)
    ours = torch_gradients(build("wpo", beta=beta), pairs, "float64")
    for mine, dpos in zip(ours, torch_gradients(build("dpo", beta=beta), pairs, "float64"), strict=True):
        np.testing.assert_allclose(mine, weight * dpos, rtol=1e-9, atol=1e-300)


@given(seed=SEEDS)
def test_sppo_and_nca_draw_each_side_to_a_target_of_its_own(seed):
    pairs = random_pairs(seed)
    at_reference = replace(pairs, reference_chosen=pairs.chosen, reference_rejected=pairs.rejected)
    sppo = build("sppo_hard", beta=0.05)
    there = replace(at_reference, chosen=pairs.chosen + 10, rejected=pairs.rejected - 10)
    np.testing.assert_allclose(loss(sppo, there), 0, atol=1e-9)
    nca = build("nca_pair", beta=0.5)
    _, by_chosen, by_rejected = torch_gradients(
        nca, replace(at_reference, chosen=pairs.chosen + 2 * np.log(2)), "float64"
    )
    np.testing.assert_allclose(by_chosen, 0, atol=1e-9)
    assert (by_rejected > 0).all()
