"""PPO trains the very policy that the benchmark uses, and goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.training.acme import running_statistics, specs
from mujoco_samples import ACTIONS, OBS, Countdown

from mpobench_mujoco import checkpoint, policy, ppo
from mpobench_mujoco.settings import Phase, Recipe

STD = 0.25


@pytest.fixture(scope="module", params=[False, True], ids=["fixed std", "learned std"])
def networks(request):
    return ppo._networks(STD, request.param, OBS, ACTIONS, running_statistics.normalize)


@pytest.fixture(scope="module")
def params(networks) -> ppo.Params:
    """As after some training: statistics and biases are not those of the start."""
    observations = 3 + 2 * jax.random.normal(jax.random.PRNGKey(0), (100, OBS))
    statistics = running_statistics.update(
        running_statistics.init_state(specs.Array((OBS,), jnp.float32)), observations
    )
    keys, random = jax.random.split(jax.random.PRNGKey(1)), np.random.default_rng(1)
    trained = networks.policy_network.init(keys[0]), networks.value_network.init(keys[1])
    shaken = jax.tree.map(lambda leaf: leaf + np.float32(0.1) * random.normal(size=leaf.shape), trained)
    shaken = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), shaken)
    return statistics, *shaken


def test_converted_parameters_give_the_same_policy(networks, params):
    distribution = networks.parametric_action_distribution
    observations = 3 + 2 * jax.random.normal(jax.random.PRNGKey(2), (30, OBS))
    statistics, network, _ = params
    logits = networks.policy_network.apply(statistics, network, observations)
    raw = distribution.sample_no_postprocessing(logits, jax.random.PRNGKey(3))
    converted = ppo.to_policy(params)
    ours = policy.weights_of(converted), policy.normalise(converted, observations.T)
    np.testing.assert_allclose(distribution.mode(logits), policy.mean_action(*ours).T, atol=1e-5)
    np.testing.assert_allclose(
        distribution.log_prob(logits, raw) + ACTIONS * np.log(policy.CELL_WIDTH),
        policy.step_logps(*ours, raw.T, STD),
        rtol=1e-4,
        atol=1e-4,
    )


def test_an_agent_that_learns_its_noise_begins_with_another(params):
    statistics, network, _ = params
    fixed = ppo.to_policy((statistics, {"params": network["params"]}, None))
    begun = ppo.to_policy(ppo.from_policy(fixed, 0.5))
    np.testing.assert_allclose(np.exp(begun.pop("log_std")), 0.5, rtol=1e-6)
    assert begun.keys() == fixed.keys()
    for name, value in fixed.items():
        np.testing.assert_array_equal(begun[name], value)


def test_a_learned_noise_has_a_floor():
    logits = jnp.concatenate([jnp.zeros((20_000, ACTIONS)), jnp.full((20_000, ACTIONS), -9.0)], axis=-1)
    raw = ppo.LearnedStd(ACTIONS).sample_no_postprocessing(logits, jax.random.PRNGKey(0))
    np.testing.assert_allclose(raw.std(), policy.LEAST_STD, rtol=0.01)


def test_the_noise_is_fixed_and_actions_are_clipped_when_executed():
    distribution = ppo.FixedStd(ACTIONS, STD)
    logits = jnp.full((20_000, ACTIONS), 1.5)
    raw = distribution.sample_no_postprocessing(logits, jax.random.PRNGKey(0))
    np.testing.assert_allclose(raw.std(), STD, rtol=0.01)
    np.testing.assert_allclose(raw.mean(), np.tanh(1.5), atol=0.01)
    executed = distribution.postprocess(raw)
    np.testing.assert_array_equal(executed, jnp.clip(raw, -1, 1))
    assert (np.asarray(raw) > 1).any()


def test_a_checkpoint_survives_the_disk(params, tmp_path):
    checkpoint.save(params, tmp_path / "params.safetensors")
    loaded = checkpoint.load(tmp_path / "params.safetensors")
    assert jax.tree.structure(loaded) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, loaded, params)
    assert [file.name for file in tmp_path.iterdir()] == ["params.safetensors"]


def test_values_are_rescaled_with_the_rewards(networks, params):
    observations = jax.random.normal(jax.random.PRNGKey(4), (5, OBS))
    statistics, _, value = params
    _, _, rescaled = ppo._rescaled(params, 3.0)
    before = networks.value_network.apply(statistics, value, observations)
    np.testing.assert_allclose(
        networks.value_network.apply(statistics, rescaled, observations), 3 * before, rtol=1e-5, atol=1e-6
    )


@pytest.mark.slow
def test_training_passes_through_its_phases_and_resumes(workspace):
    recipe = Recipe(
        task="countdown",
        level=0,
        seed=0,
        phases=(
            Phase(steps=1024, learning_rate=3e-3, discounting=0.9, unroll=8),
            Phase(
                steps=512,
                learning_rate=1e-3,
                discounting=0.9,
                reward_scale=0.5,
                unroll=8,
                parameters={"leg_penalty": 2.0},
            ),
        ),
        envs=16,
        minibatches=4,
        passes=1,
        checkpoint_steps=512,
    )
    penalties: list[float] = []

    def task(parameters: Mapping[str, float]) -> Countdown:
        penalties.append(parameters.get("leg_penalty", 0.0))
        return Countdown()

    kept: dict[int, ppo.Params] = {}
    ppo.train(task, STD, 12, recipe, False, None, kept.__setitem__)
    assert list(kept) == [512, 1024, 1536]
    assert penalties == [0.0, 2.0]
    again: dict[int, ppo.Params] = {}
    ppo.train(task, STD, 12, recipe, False, (1024, kept[1024]), again.__setitem__)
    assert list(again) == [1536]
    assert penalties == [0.0, 2.0, 2.0]
    seen = [float(params[0].count.lo) for params in (kept[512], kept[1024], kept[1536], again[1536])]
    assert seen[0] < seen[1] < seen[2] == seen[3], "observation statistics are carried along"
    first, last = (ppo.to_policy(kept[steps]) for steps in (512, 1536))
    assert not np.allclose(first["w1"], last["w1"])
    done: dict[int, ppo.Params] = {}
    ppo.train(task, STD, 12, recipe, False, (1536, kept[1536]), done.__setitem__)
    assert not done
