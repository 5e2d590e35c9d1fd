"""Rollouts with the policy in the loop, beside bare brax stepping and beside MuJoCo's own C code."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brax.envs.base import PipelineEnv

from mpobench_mujoco import data, rollouts, xla
from mpobench_mujoco.env import MujocoEnv
from mpobench_mujoco.speed.turns import Runner, by_turns

STEPS = 100


def steps_per_second(env: MujocoEnv, batch: int, cache: Path) -> dict[str, float]:
    """Environment steps a second of processor time, one thread.

    Args:
        env: Environment whose backend is measured. The policy is the original agent of ``spring``: every policy costs
            the same.
        batch: Episodes of a batch.
        cache: Folder of compiled programs.

    Returns:
        ``policy``: our rollouts; ``brax``: the same physics under random actions, nothing kept; ``MuJoCo C``: the
        same body at the same time step by ``mujoco.rollout``.
    """
    xla.configure(cache)
    physics = data.brax_env(env)
    agent = data.agent_policy(env.model_copy(update={"backend": "spring"}), "original")
    keys = rollouts.episode_keys(rollouts.Purpose.EVALUATION, 0, batch, stream=0)
    std = env.settings.task.action_std
    runners: dict[str, Runner] = {
        "policy": lambda: rollouts.roll_out(physics, agent, std, STEPS, *keys),
        "brax": bare_brax(physics, keys[0]),
        "MuJoCo C": mujoco_c(physics, batch),
    }
    return {
        name: batch * STEPS / seconds for name, seconds in by_turns(f"physics {env.backend}", runners).items()
    }


def bare_brax(env: PipelineEnv, keys: jax.Array) -> Runner:
    """Steps under random actions; only the rewards are looked at, so that nothing is optimised away."""
    actions = jax.random.uniform(
        jax.random.PRNGKey(0), (STEPS, len(keys), env.action_size), minval=-1, maxval=1
    )

    @jax.jit
    def run(keys: jax.Array, actions: jax.Array) -> jax.Array:
        def step(state: Any, action: jax.Array) -> tuple[Any, jax.Array]:
            state = jax.vmap(env.step)(state, action)
            return state, state.reward

        return jnp.sum(jax.lax.scan(step, jax.vmap(env.reset)(keys), actions)[1])

    return lambda: jax.block_until_ready(run(keys, actions))


def mujoco_c(env: PipelineEnv, batch: int) -> Runner:
    """MuJoCo's C engine on the same body: as many physics steps of the same length, under random actions."""
    import mujoco
    from mujoco import rollout

    model = copy.deepcopy(env.sys.mj_model)
    model.opt.timestep = float(env.sys.opt.timestep)
    state = mujoco.MjData(model)
    start = np.empty(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS))
    mujoco.mj_getState(model, state, start, mujoco.mjtState.mjSTATE_FULLPHYSICS)
    actions = np.random.default_rng(0).uniform(-1, 1, (batch, STEPS, model.nu))
    control = np.repeat(actions, int(env._n_frames), axis=1)
    return lambda: rollout.rollout(model, state, np.tile(start, (batch, 1)), control)
