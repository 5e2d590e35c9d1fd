"""Rollouts: what is recorded, what is masked, and what start states depend on."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from mujoco_samples import ACTIONS, OBS, Countdown, random_policy

from mpobench_mujoco import data, physics, policy, rollouts
from mpobench_mujoco.configuration import Block

COUNTDOWN = Countdown()
STD, STEPS = 0.7, 15


def count_down(first: int, episodes: int, *, seed: int = 0, stream: int = 0) -> rollouts.Rollouts:
    """Episodes of a countdown, which end after 1 to 11 of 15 steps."""
    acting = random_policy(seed, COUNTDOWN.observation_size, COUNTDOWN.action_size)
    keys = rollouts.episode_keys(rollouts.Purpose.DATA, first, episodes, stream)
    return rollouts.roll_out(COUNTDOWN, acting, STD, STEPS, *keys)


@pytest.fixture(scope="module")
def block() -> rollouts.Rollouts:
    return count_down(0, 64)


def test_shapes_and_types(block):
    assert (block.observations.shape, block.observations.dtype) == ((64, 3, STEPS), np.float32)
    assert (block.actions.shape, block.actions.dtype) == ((64, 2, STEPS), np.float32)
    assert (block.returns.shape, block.returns.dtype) == ((64,), np.float64)
    assert (block.lengths.shape, block.lengths.dtype) == ((64,), np.int32)


def test_an_episode_ends_at_its_first_unhealthy_state(block):
    np.testing.assert_array_equal(block.lengths, block.observations[:, 0, 0])
    assert block.lengths.max() < STEPS
    living = np.arange(STEPS) < block.lengths[:, None]
    rewards = 1 + np.clip(block.actions, -1, 1).sum(axis=1)
    np.testing.assert_allclose(block.returns, (rewards * living).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(block.returns_with_resets, rewards.sum(axis=1), rtol=1e-5)
    assert not np.allclose(block.returns, block.returns_with_resets), "what follows does not count"


def test_an_ended_episode_starts_again_from_its_start_state(block):
    for observations, length in zip(block.observations, block.lengths, strict=True):
        for again in range(length, STEPS, length):
            np.testing.assert_array_equal(observations[:, again], observations[:, 0])


def test_log_probabilities_of_an_episode_are_the_means_of_its_own_steps(block):
    judge = random_policy(1, COUNTDOWN.observation_size, COUNTDOWN.action_size)
    means = data.mean_logps(block, judge, STD)
    for episode in (0, 7, 31):
        length = block.lengths[episode]
        seen = policy.normalise(judge, block.observations[episode, :, :length])
        logps = policy.step_logps(policy.weights_of(judge), seen, block.actions[episode, :, :length], STD)
        np.testing.assert_allclose(means[episode], np.mean(logps), rtol=1e-4)


def test_actions_are_recorded_as_sampled_and_executed_within_bounds(block):
    recorded, executed = block.actions[:, :, :-1], block.observations[:, 1:, 1:]
    assert (np.abs(recorded) > 1).mean() > 0.05
    living = np.broadcast_to((np.arange(1, STEPS) < block.lengths[:, None])[:, None], executed.shape)
    np.testing.assert_array_equal(executed[living], np.clip(recorded, -1, 1)[living])


def test_noise_is_around_the_policys_mean(block):
    acting = random_policy(0, 3, 2)
    observations = block.observations.transpose(0, 2, 1)
    mean = policy.mean_action(
        policy.weights_of(acting), policy.normalise(acting, observations.reshape(-1, 3).T)
    )
    noise = (block.actions.transpose(1, 0, 2).reshape(2, -1) - np.asarray(mean)) / STD
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert abs(noise.std() - 1) < 4 / np.sqrt(2 * noise.size)
    assert abs(np.corrcoef(noise)[0, 1]) < 4 / np.sqrt(noise.shape[1])


def test_the_noise_of_a_policy_with_its_own_is_that_of_each_action():
    acting = random_policy(0, 3, 2)
    stds = np.array([0.2, 1.1], np.float32)
    learned = {**acting, "log_std": np.log(stds)[:, None]}
    keys = rollouts.episode_keys(rollouts.Purpose.DATA, 0, 64, 0)
    block = rollouts.roll_out(COUNTDOWN, learned, STD, STEPS, *keys)
    observations = block.observations.transpose(0, 2, 1).reshape(-1, 3).T
    mean = policy.mean_action(policy.weights_of(acting), policy.normalise(acting, observations))
    noise = block.actions.transpose(1, 0, 2).reshape(2, -1) - np.asarray(mean)
    np.testing.assert_allclose(noise.std(axis=1), stds, rtol=4 / np.sqrt(2 * noise.shape[1]))


def test_the_same_call_gives_the_same_episodes(block):
    again = count_down(0, 64)
    for name, array in vars(block).items():
        np.testing.assert_array_equal(getattr(again, name), array)


def test_start_states_depend_on_the_index_alone(block):
    starts = block.observations[:, :, 0]
    np.testing.assert_array_equal(count_down(0, 64, seed=1).observations[:, :, 0], starts)
    np.testing.assert_array_equal(count_down(0, 64, stream=3).observations[:, :, 0], starts)
    np.testing.assert_array_equal(count_down(32, 32).observations[:, :, 0], starts[32:])
    assert len(np.unique(starts[:, 0])) > 5


def test_the_noise_depends_on_the_index_and_the_stream(block):
    np.testing.assert_allclose(count_down(32, 32).actions, block.actions[32:], rtol=1e-5, atol=1e-5)
    other = count_down(0, 64, stream=1)
    assert (np.abs(other.actions[:, :, 0] - block.actions[:, :, 0]) > 1e-4).all()


@pytest.mark.parametrize("stream", [0, 3])
@pytest.mark.parametrize(("first", "cuts"), [(0, [2, 2, 4]), (1000, [4, 2, 2])])
def test_keys_do_not_depend_on_how_a_range_is_cut(first, cuts, stream):
    whole = rollouts.episode_keys(rollouts.Purpose.DATA, first, sum(cuts), stream)
    parts = []
    for episodes in cuts:
        parts.append(rollouts.episode_keys(rollouts.Purpose.DATA, first, episodes, stream))
        first += episodes
    for side in (0, 1):
        np.testing.assert_array_equal(np.concatenate([part[side] for part in parts]), whole[side])


def test_no_two_purposes_episodes_or_streams_share_a_key():
    keys = [
        key.tobytes()
        for purpose in rollouts.Purpose
        for stream in range(4)
        for key in np.asarray(rollouts.episode_keys(purpose, 0, 50, stream)[1])
    ]
    starts = [
        key.tobytes()
        for purpose in rollouts.Purpose
        for key in np.asarray(rollouts.episode_keys(purpose, 0, 50, 0)[0])
    ]
    assert len({*keys, *starts}) == len(keys) + len(starts)


@pytest.mark.slow
def test_both_sides_of_an_ants_pair_share_the_start_state(tla, workspace):
    blocks = [Block("original", 0, 0, 8), Block("target", 1, 0, 8)]
    original, target = (data.make_block(tla, block, workspace) for block in blocks)
    np.testing.assert_array_equal(original.observations[:, :, 0], target.observations[:, :, 0])
    assert original.observations.shape == (8, OBS, 1000)
    assert original.actions.shape == (8, ACTIONS, 1000)
    assert not np.allclose(original.actions[:, :, 0], target.actions[:, :, 0])
    # Another batch of the same program, two episodes on: the six that both hold start alike
    task = tla.settings.task
    keys = rollouts.episode_keys(rollouts.Purpose.DATA, 2, 8, stream=0)
    agent = data.agent_policy(tla, "original")
    shifted = rollouts.roll_out(data.brax_env(tla), agent, task.action_std, task.steps, *keys)
    np.testing.assert_array_equal(shifted.observations[:6, :, 0], original.observations[2:, :, 0])
    np.testing.assert_allclose(shifted.actions[:6, :, 0], original.actions[2:, :, 0], atol=1e-5)
    keys = rollouts.episode_keys(rollouts.Purpose.DATA, 0, 8, stream=0)
    again = rollouts.roll_out(data.brax_env(tla), agent, task.action_std, task.steps, *keys)
    for name, array in vars(again).items():
        np.testing.assert_array_equal(getattr(original, name), array)


@pytest.mark.slow
def test_an_ants_episode_ends_where_brax_says(tla, workspace):
    """An ant that is thrown about falls; replayed step by step, it is out of brax's healthy range at that very step."""
    env, steps = physics.make("ant", "spring"), 200
    acting = random_policy(0)
    keys = rollouts.episode_keys(rollouts.Purpose.DATA, 0, 8, 0)
    thrown = rollouts.roll_out(env, acting, 1.5, steps, *keys)
    assert (thrown.lengths < steps).any(), "else this shows nothing"
    fallen = int(np.argmin(thrown.lengths))
    step, state = jax.jit(env.step), jax.jit(env.reset)(keys[0][fallen])
    for at in range(int(thrown.lengths[fallen])):
        assert 0.2 <= float(state.obs[0]) <= 1.0
        state = step(state, np.clip(thrown.actions[fallen, :, at], -1, 1))
    assert not 0.2 <= float(state.obs[0]) <= 1.0
    assert thrown.observations[fallen, 0, thrown.lengths[fallen]] == thrown.observations[fallen, 0, 0]


def test_the_policy_sees_what_brax_gives():
    keys = rollouts.episode_keys(rollouts.Purpose.DATA, 0, 4, 0)
    starts = jax.vmap(COUNTDOWN.reset)(keys[0]).obs
    np.testing.assert_array_equal(count_down(0, 4).observations[:, :, 0], starts)
