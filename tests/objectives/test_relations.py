"""What the papers say of their losses, and how the losses relate to each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from objective_samples import CARDS, FILES, build, torch_gradients

from mpobench import Objective
from mpobench.testing.pairs import Pairs, random_pairs

MONOTONE = (
    *("rrhf", "slic", "dpo", "cpo", "orpo", "rdpo", "simpo", "sft", "lpo", "tampo"),
    *(
        "kto",
        "rpo",
        "fdpo",
        "robust-dpo",
        "hinge",
        "bco_pair",
        "aot",
        "aot_unpaired",
        "apo_zero",
        "sigmoid_norm",
        "wpo",
    ),
    *("chipo", "alphapo", "cpl", "cpo-simpo", "mpo-log-sigmoid", "mpo-mixed"),
    "mpo-polynomial",  # by default
)
NOT_MONOTONE = (
    *("ipo", "cdpo", "exo_pair", "nca_pair", "sppo_hard", "apo_down", "discopop", "cpo-ipo", "mpo-noisy"),
)
SEEDS = st.integers(0, 2**32 - 1)


def loss(objective: Objective, pairs: Pairs) -> np.ndarray:
    return np.asarray(objective.loss(pairs.batch(np, "float64")))


@pytest.mark.parametrize("name", MONOTONE)
@given(seed=SEEDS)
@example(seed=1156)  # where χPO is flat
def test_falls_with_the_chosen_and_does_not_fall_with_the_rejected(name, seed):
    pairs = random_pairs(seed)
    at_reference = replace(pairs, reference_chosen=pairs.chosen, reference_rejected=pairs.rejected)
    for tried in (pairs, at_reference):
        _, by_chosen, by_rejected = torch_gradients(build(name), tried, "float64")
        assert (by_chosen <= 0).all()
        assert (by_rejected >= 0).all()
        if name != "chipo" or tried is at_reference:  # χPO is flat where all margins are beyond its clip
            assert (by_chosen < 0).any()


@pytest.mark.parametrize("name", NOT_MONOTONE)
def test_some_margin_is_wide_enough(name):
    margins = np.linspace(-8, 8, 161)
    slopes = slopes_in_margin(build(name, **({"reduction": "sum"} if name != "cpo-ipo" else {})), margins)
    assert (slopes > 0).any()
    assert (slopes < 0).any()


def slopes_in_margin(objective: Objective, margins: np.ndarray) -> np.ndarray:
    """∂loss/∂log π(τ_w) of pairs of one step, whose chosen side is ``margins`` above reference and rejected side."""
    level, ones = np.full_like(margins, -9.0), np.ones_like(margins)
    scale = 1 / getattr(objective, "beta", 1.0)  # so that margins are in units of the loss
    pairs = Pairs(level + scale * margins, level, level, level, ones, ones)
    return torch_gradients(objective, pairs, "float64")[1]


@given(seed=SEEDS, tau=st.floats(0.01, 10), reduction=st.sampled_from(["sum", "mean"]))
def test_ipo_draws_the_margin_to_its_target(seed, tau, reduction):
    pairs = random_pairs(seed)
    at_target = replace(pairs, reference_chosen=pairs.chosen, reference_rejected=pairs.rejected)
    steps = pairs.chosen_length if reduction == "mean" else 1.0
    at_target = replace(at_target, chosen=pairs.chosen + steps / (2 * tau))
    ipo = build("ipo", tau=tau, reduction=reduction)
    np.testing.assert_allclose(loss(ipo, at_target), 0, atol=1e-12)
    assert (loss(ipo, replace(at_target, chosen=at_target.chosen + 1)) > 0).all()
    assert (loss(ipo, replace(at_target, chosen=at_target.chosen - 1)) > 0).all()


@given(seed=SEEDS, alpha=st.floats(0, 1))
def test_rdpo_is_dpo_at_equal_lengths_and_forgives_length(seed, alpha):
    pairs = random_pairs(seed)
    level = replace(pairs, rejected_length=pairs.chosen_length)
    np.testing.assert_array_equal(loss(build("rdpo", alpha=alpha), level), loss(build("dpo"), level))
    longer = replace(pairs, chosen_length=pairs.rejected_length + 10)
    assert (loss(build("rdpo", alpha=alpha), longer) <= loss(build("dpo"), longer)).all()


@given(seed=SEEDS)
def test_cpo_is_cloning_plus_dpo_under_a_uniform_reference(seed):
    pairs = random_pairs(seed)
    uniform = replace(pairs, reference_chosen=np.zeros(16), reference_rejected=np.zeros(16))
    expected = loss(build("sft", reduction="sum"), pairs) + loss(build("dpo"), uniform)
    np.testing.assert_allclose(loss(build("cpo"), pairs), expected, rtol=1e-12)


@given(seed=SEEDS, lam=st.floats(1.5, 10))
def test_lpo_is_slic_without_a_limit_to_the_margin(seed, lam):
    pairs, delta = random_pairs(seed), 1e6
    slic = build("slic", delta=delta, lam=lam - 1, reduction="mean")
    np.testing.assert_allclose(loss(slic, pairs) - delta, loss(build("lpo", lam=lam), pairs), atol=1e-8)


@given(seed=SEEDS)
def test_orpo_without_its_odds_is_cloning(seed):
    pairs = random_pairs(seed)
    np.testing.assert_array_equal(loss(build("orpo", lam=0), pairs), loss(build("sft"), pairs))


def test_orpo_still_clones_where_odds_do_not_exist():
    densities = Pairs(*[np.array([2.0, 3.0])] * 4, *[np.ones(2)] * 2)
    value, by_chosen, by_rejected = torch_gradients(build("orpo", lam=0.5), densities, "float32")
    np.testing.assert_allclose(value, [0.5 * np.log(2) - 2, 0.5 * np.log(2) - 3], rtol=1e-6)
    np.testing.assert_array_equal(by_chosen, -1)
    np.testing.assert_array_equal(by_rejected, 0)


@pytest.mark.parametrize("schedule", ["linear", "quadratic", "sigmoid"])
def test_tampo_goes_from_sft_to_simpo(schedule):
    pairs, objective = random_pairs(1), build("tampo", schedule=schedule, beta=3, gamma=0.5)
    tolerance = 0.05 if schedule == "sigmoid" else 1e-12  # α is 3e-7 at the start and 0.993 at the end
    sft, simpo = loss(build("sft"), pairs), loss(build("simpo", beta=3, gamma=0.5), pairs)
    np.testing.assert_allclose(loss(objective, replace(pairs, progress=0.0)), sft, rtol=1e-5)
    np.testing.assert_allclose(
        loss(objective, replace(pairs, progress=1.0)), simpo, atol=tolerance * (1 + np.abs(sft - simpo).max())
    )
    middle = loss(objective, replace(pairs, progress=0.75))
    alpha = {"linear": 0.75, "quadratic": 0.5625, "sigmoid": 0.5}[schedule]
    np.testing.assert_allclose(middle, (1 - alpha) * sft + alpha * simpo, rtol=1e-12)


ONE_STAGE = {"rrhf", "slic", "cpo", "orpo", "sft", "lpo", "tampo", "cpo-simpo", "cpo-ipo"} | {
    *("mpo-log-sigmoid", "mpo-mixed", "mpo-noisy", "mpo-polynomial")
}
SFT_FIRST = {"simpo", "alphapo", "cpl"}
NAMES = {*MONOTONE, *NOT_MONOTONE}


def test_stages():
    for name in NAMES:
        assert build(name).needs_reference == (name not in ONE_STAGE | SFT_FIRST)
        assert build(name).two_stage == (name not in ONE_STAGE)
    for name in SFT_FIRST:
        assert not build(name, sft_first=False).two_stage


def test_reduction_defaults_are_the_literatures():
    reductions = {name: getattr(build(name), "reduction", None) for name in NAMES}
    fixed = {"simpo", "orpo", "alphapo", "sigmoid_norm", "cpo-simpo", "cpo-ipo"}
    assert {name for name, value in reductions.items() if value is None} == fixed
    means = {"ipo", "rrhf", "sft", "lpo", "tampo"} | {
        *("mpo-log-sigmoid", "mpo-mixed", "mpo-noisy", "mpo-polynomial")
    }
    assert {name for name, value in reductions.items() if value == "mean"} == means


def test_every_loss_but_the_mirror_family_is_either_monotone_or_not():
    built_in = {name for name, registered in CARDS.items() if registered.distribution == "mpobench"}
    assert built_in - {"1s-mpo", "2s-mpo"} - FILES.keys() == NAMES
    assert not set(MONOTONE) & set(NOT_MONOTONE)


def test_rrhf_ranks_means_under_either_reduction():
    pairs = random_pairs(2)
    means = replace(
        pairs,
        chosen=pairs.chosen / pairs.chosen_length,
        rejected=pairs.rejected / pairs.rejected_length,
        chosen_length=np.ones(16),
        rejected_length=np.ones(16),
    )
    for reduction in ("sum", "mean"):
        rank_only = build("rrhf", lam=0, reduction=reduction)
        np.testing.assert_allclose(loss(rank_only, pairs), loss(rank_only, means), rtol=1e-12)
