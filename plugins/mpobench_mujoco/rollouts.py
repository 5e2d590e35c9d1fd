"""Rolling a policy out in a brax environment: one compiled program for data and for evaluation.

Environments lie side by side in the last axis where that is faster (:mod:`mpobench_mujoco.lanes`), as steps do for the
policy. An episode ends at its first unhealthy state, and what follows does not count. It begins again from its start
state, as brax's AutoResetWrapper does it, for the return over all steps alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mpobench_mujoco import physics, xla
from mpobench_mujoco.policy import (
    Policy,
    Weights,
    action_std,
    mean_action,
    normalise,
    statistics_of,
    weights_of,
)

if TYPE_CHECKING:
    from brax.envs.base import PipelineEnv, State


@dataclass(frozen=True)
class Rollouts:
    """Episodes of one policy.

    Attributes:
        observations: ``(episodes, obs, steps)`` float32, as the environment gives them.
        actions: ``(episodes, actions, steps)`` float32, as sampled.
        returns: ``(episodes,)`` float64, undiscounted true return until the episode ended.
        returns_with_resets: ``(episodes,)`` float64, the same over all steps: a fallen agent starts again.
        lengths: ``(episodes,)`` int32, steps until the episode ended.
    """

    observations: NDArray[np.float32]
    actions: NDArray[np.float32]
    returns: NDArray[np.float64]
    returns_with_resets: NDArray[np.float64]
    lengths: NDArray[np.int32]


@functools.partial(jax.jit, static_argnames=("env",), compiler_options=xla.ONCE)
def _reset(env: PipelineEnv, keys: jax.Array) -> State:
    return jax.vmap(env.reset, out_axes=physics.batch_axis(env))(keys)


def _roll_out(
    env: PipelineEnv,
    steps: int,
    std: float,
    weights: Weights,
    statistics: Policy,
    start: State,
    noise_keys: jax.Array,
) -> tuple[jax.Array, ...]:
    noise = jax.vmap(lambda key: jax.random.normal(key, (steps, env.action_size)), out_axes=-1)(noise_keys)
    step_all, axis = physics.step_all(env), physics.batch_axis(env)
    stds = action_std(weights, std)

    def restarted(done: jax.Array, fresh: jax.Array, following: jax.Array) -> jax.Array:
        if axis == 0:
            done = done.reshape(-1, *(1 for _ in following.shape[1:]))
        return jnp.where(done, fresh, following)

    def step(
        carry: tuple[State, jax.Array], noise: jax.Array
    ) -> tuple[tuple[State, jax.Array], tuple[jax.Array, jax.Array, jax.Array, jax.Array]]:
        state, alive = carry
        observation = jnp.moveaxis(state.obs, axis, -1)
        action = mean_action(weights, normalise(statistics, observation)) + stds * noise
        following = step_all(state, jnp.moveaxis(jnp.clip(action, -1.0, 1.0), -1, axis))
        recorded = (observation, action, following.reward, alive)
        done = following.done
        begun = jax.tree.map(
            functools.partial(restarted, done.astype(bool)),
            (start.pipeline_state, start.obs),
            (following.pipeline_state, following.obs),
        )
        following = following.replace(pipeline_state=begun[0], obs=begun[1])
        return (following, alive * (1.0 - done)), recorded

    alive = jnp.ones(len(noise_keys))
    _, (observations, actions, rewards, alive) = jax.lax.scan(step, (start, alive), noise)
    return (
        observations.transpose(2, 1, 0),
        actions.transpose(2, 1, 0),
        jnp.sum(rewards * alive, axis=0),
        jnp.sum(rewards, axis=0),
        jnp.sum(alive, axis=0).astype(jnp.int32),
    )


@functools.cache
def _program(in_lanes: bool) -> Callable[..., tuple[jax.Array, ...]]:
    """Whole vectors are twice as fast where environments lie side by side, and a third slower where they do not."""
    options = xla.WHOLE_VECTORS if in_lanes else None
    return jax.jit(_roll_out, static_argnames=("env", "steps", "std"), compiler_options=options)


def roll_out(
    env: PipelineEnv, policy: Policy, std: float, steps: int, start_keys: jax.Array, noise_keys: jax.Array
) -> Rollouts:
    """Rolls a policy out from given start states.

    Args:
        env: Brax environment, not wrapped.
        policy: Policy, which acts with Gaussian noise around its mean.
        std: Standard deviation of that noise, for a policy without its own.
        steps: Episode length.
        start_keys: ``(episodes, 2)`` legacy PRNG keys, one start state each.
        noise_keys: ``(episodes, 2)``, keys of the action noise.
    """
    with xla.first_call(f"{type(env).__name__}-{env.backend}-{std}-{len(start_keys)}x{steps}"):
        observations, actions, returns, with_resets, lengths = _program(physics.batch_axis(env) == -1)(
            env, steps, std, weights_of(policy), statistics_of(policy), _reset(env, start_keys), noise_keys
        )
    return Rollouts(
        np.asarray(observations),
        np.asarray(actions),
        np.asarray(returns, np.float64),
        np.asarray(with_resets, np.float64),
        np.asarray(lengths),
    )


class Purpose(IntEnum):
    """What episodes are for. Those of one purpose have no start state of another."""

    DATA = 0
    EVALUATION = 1
    AGENTS = 2
    """The levels of agents."""


def episode_keys(purpose: Purpose, first: int, episodes: int, stream: int) -> tuple[jax.Array, jax.Array]:
    """PRNG keys of a range of episodes, independent of how the range is cut into batches.

    Args:
        purpose: Purpose of the episodes.
        first: Index of the first episode.
        episodes: Number of episodes.
        stream: Stream of the action noise; start states do not depend on it.

    Returns:
        (start keys, noise keys), each ``(episodes, 2)``.

    Raises:
        ValueError: For an episode from 2³² on, whose keys would be those of an earlier one.
    """
    if first + episodes > 1 << 32:
        raise ValueError(
            f"episode {first + episodes - 1} is beyond 2³² − 1, the last one with keys of its own"
        )
    root = jax.random.PRNGKey(purpose)
    start = jax.vmap(lambda index: jax.random.fold_in(root, index))(jnp.arange(first, first + episodes))
    noise = jax.vmap(lambda key: jax.random.fold_in(key, stream + 1))(start)
    return start, noise
