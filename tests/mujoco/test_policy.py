"""The Gaussian policy against its definition in float64."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mujoco_samples import ACTIONS, OBS, random_policy
from scipy.stats import norm

from mpobench import SequenceLogps
from mpobench_mujoco import policy, rollouts, scoring
from mpobench_mujoco.learner import Trajectories, trajectory_logps


def mean_of(acting: policy.Policy, observations: np.ndarray) -> np.ndarray:
    """The mean action of normalised ``(steps, obs)``, in float64."""
    hidden = observations.astype(np.float64)
    for layer in (1, 2, 3):
        weight, bias = (acting[f"{kind}{layer}"].astype(np.float64) for kind in "wb")
        hidden = np.tanh(hidden @ weight.T + bias[:, 0])
    return hidden


def log_cell_probability(mean: np.ndarray, actions: np.ndarray, std: float) -> np.ndarray:
    """Log of density × (1/e)^dim at each step, in float64."""
    density = np.exp(-((actions - mean) ** 2) / (2 * std**2)) / np.sqrt(2 * np.pi * std**2)
    return np.log(density * np.exp(-1)).sum(axis=1)


@pytest.mark.parametrize("std", [0.15, 0.2, 0.3, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_step_logps_are_log_probabilities_of_action_cells(std, seed):
    acting, rng = random_policy(seed), np.random.default_rng(seed)
    observations = rng.normal(size=(50, OBS)).astype(np.float32)
    mean = mean_of(acting, observations)
    actions = (mean + std * rng.normal(size=mean.shape)).astype(np.float32)
    if std == 1:
        assert (np.abs(actions) > 1).any(), "samples that execution would clip are among them"
    ours = policy.step_logps(policy.weights_of(acting), observations.T, actions.T, std)
    assert ours.shape == (50,)
    np.testing.assert_allclose(ours, log_cell_probability(mean, actions, std), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_learned_standard_deviation_is_one_of_each_action(seed):
    acting, rng = random_policy(seed), np.random.default_rng(seed)
    stds = rng.uniform(0.1, 0.9, ACTIONS)
    learned = {**acting, "log_std": np.log(stds)[:, None].astype(np.float32)}
    observations = rng.normal(size=(50, OBS)).astype(np.float32)
    mean = mean_of(acting, observations)
    actions = (mean + stds * rng.normal(size=mean.shape)).astype(np.float32)
    ours = policy.step_logps(policy.weights_of(learned), observations.T, actions.T, std=7.0)
    expected = norm.logpdf(actions, mean, stds).sum(axis=1) - ACTIONS
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-4)


def test_a_learned_standard_deviation_has_a_floor():
    weights = policy.weights_of({**random_policy(0), "log_std": np.full((ACTIONS, 1), -9, np.float32)})
    np.testing.assert_allclose(policy.action_std(weights, 0.3), policy.LEAST_STD)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1e4))
@settings(max_examples=30, deadline=None)
def test_the_mean_action_stays_within_bounds(seed, scale):
    observations = np.random.default_rng(seed).normal(scale=scale, size=(OBS, 7)).astype(np.float32)
    mean = np.asarray(policy.mean_action(policy.weights_of(random_policy(seed)), observations))
    assert mean.shape == (ACTIONS, 7)
    assert (np.abs(mean) <= 1).all()
    if scale < 10:
        assert (np.abs(mean) < 1).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_policy_between_two_averages_what_they_are_about_to_do(tla, share):
    original, target = (policy.load(tla.agent(role)[0]) for role in ("original", "target"))
    observations = np.random.default_rng(0).normal(size=(40, len(original["obs_mean"])))
    outputs = [
        np.arctanh(mean_of(acting, (observations - acting["obs_mean"]) / acting["obs_std"]))
        for acting in (original, target)
    ]
    blend = policy.blended(original, target, share)
    found = policy.mean_action(
        policy.weights_of(blend), policy.normalise(blend, jnp.asarray(observations.T, jnp.float32))
    )
    np.testing.assert_allclose(found.T, np.tanh((1 - share) * outputs[0] + share * outputs[1]), atol=1e-4)


def test_a_trajectory_counts_its_living_steps_only():
    std, steps = 0.2, 40
    acting, rng = random_policy(3), np.random.default_rng(3)
    lengths = np.array([1, 17, 40], np.int32)
    observations = rng.normal(size=(3, OBS, steps)).astype(np.float32)
    actions = rng.uniform(-1, 1, (3, ACTIONS, steps)).astype(np.float32)
    expected = [
        log_cell_probability(mean_of(acting, o.T), a.T, std)[:length].sum()
        for o, a, length in zip(observations, actions, lengths, strict=True)
    ]
    weights = policy.weights_of(acting)

    def logps_of(*members: int) -> SequenceLogps:
        trajectories = Trajectories(*map(jnp.asarray, (observations, actions, lengths)))
        return trajectory_logps(weights, trajectories, jnp.array(members), std)

    logps = logps_of(0, 1, 2)
    np.testing.assert_allclose(logps.total, expected, rtol=1e-5)
    np.testing.assert_allclose(logps.mean, expected / lengths, rtol=1e-5)
    np.testing.assert_array_equal(logps_of(2, 0).total, logps.total[jnp.array([2, 0])])
    # What the dead do is not seen, whatever it is
    observations[1, :, 17:], actions[1, :, 17:] = 1e3, -1e3
    np.testing.assert_array_equal(logps_of(0, 1, 2).total, logps.total)


def test_probabilities_stay_below_one_at_the_environments_noise(tla):
    at_best = policy.step_logps(
        policy.weights_of(acting := random_policy(0)),
        np.zeros((OBS, 1), np.float32),
        mean_of(acting, np.zeros((1, OBS))).T.astype(np.float32),
        tla.settings.task.action_std,
    )
    assert at_best.item() < 0


def test_a_policy_survives_the_disk(tmp_path, tla):
    acting = random_policy(5)
    tla.save_policy(acting, tmp_path)
    loaded = tla.load_policy(tmp_path)
    assert loaded.keys() == acting.keys()
    for name, value in acting.items():
        np.testing.assert_array_equal(loaded[name], value)


def test_new_weights_keep_the_statistics():
    old, new = random_policy(0), random_policy(1)
    changed = policy.with_weights(old, policy.weights_of(new))
    for name in old:
        np.testing.assert_array_equal(changed[name], (old if name in policy.STATISTICS else new)[name])


def test_random_weights_have_lecuns_variance_and_the_others_statistics():
    like = random_policy(0)
    drawn = policy.random_weights(like, 1)
    for name, value in drawn.items():
        assert (value.shape, value.dtype) == (like[name].shape, np.float32)
        if name in policy.STATISTICS:
            np.testing.assert_array_equal(value, like[name])
        elif name.startswith("b"):
            assert not value.any()
        else:
            assert value.std() * np.sqrt(value.shape[1]) == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(drawn["w2"], policy.random_weights(like, 1)["w2"])
    assert not np.array_equal(drawn["w2"], policy.random_weights(like, 2)["w2"])


def test_random_weights_begin_with_the_agents_own_noise():
    like = {**random_policy(0), "log_std": np.full((ACTIONS, 1), -0.7, np.float32)}
    np.testing.assert_array_equal(policy.random_weights(like, 1)["log_std"], like["log_std"])


@pytest.mark.parametrize("learned", [False, True])
def test_divergences_are_those_of_torch(learned):
    ours, theirs = random_policy(0), random_policy(1)
    if learned:
        for seed, each in enumerate((ours, theirs)):
            spread = np.random.default_rng(seed).uniform(-2, 0, (ACTIONS, 1))
            each["log_std"] = spread.astype(np.float32)
    seen = np.random.default_rng(2).normal(size=(OBS, 7)).astype(np.float32)
    weights = policy.weights_of(ours), policy.weights_of(theirs)
    found = policy.step_divergences(*weights, jnp.asarray(seen), 0.3)
    normals = [
        torch.distributions.Normal(
            torch.tensor(np.asarray(policy.mean_action(each, jnp.asarray(seen)))),
            torch.tensor(np.asarray(policy.action_std(each, 0.3))),
        )
        for each in weights
    ]
    expected = torch.distributions.kl_divergence(*normals).sum(0)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(
        policy.step_divergences(weights[0], weights[0], jnp.asarray(seen), 0.3), 0, atol=1e-6
    )


def test_a_policy_knows_its_reference(tmp_path):
    acting, reference = random_policy(0), random_policy(1)
    weights = {name: value for name, value in reference.items() if name not in policy.STATISTICS}
    policy.save(policy.with_reference(acting, weights), tmp_path / "policy.safetensors")
    found = policy.load(tmp_path / "policy.safetensors")
    assert policy.weights_of(found).keys() == weights.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(policy.reference_of(found)[name], value)
        np.testing.assert_array_equal(policy.weights_of(found)[name], acting[name])
    assert policy.reference_of(acting) is None


def test_divergences_of_episodes_count_states_until_their_end():
    ours, theirs = random_policy(0), random_policy(1)
    weights = {name: value for name, value in theirs.items() if name not in policy.STATISTICS}
    rng = np.random.default_rng(3)
    seen, lengths = rng.normal(size=(3, OBS, 5)).astype(np.float32), np.array([5, 1, 3], np.int32)
    none = np.zeros(3)
    episodes = rollouts.Rollouts(seen, np.zeros((3, ACTIONS, 5), np.float32), none, none, lengths)
    found = scoring.divergences(policy.with_reference(ours, weights), episodes, 0.3)
    assert np.isnan(scoring.divergences(ours, episodes, 0.3)).all()
    for episode, length in enumerate(lengths):
        states = policy.normalise(ours, jnp.asarray(seen[episode, :, :length]))
        each = policy.step_divergences(policy.weights_of(ours), policy.weights_of(theirs), states, 0.3)
        np.testing.assert_allclose(found[episode], each.sum(), rtol=1e-4)
