"""Invented policies and rollouts, requests, and a countdown task that costs nothing to simulate."""

from __future__ import annotations

import itertools
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brax.envs.base import Env as BraxEnv
from brax.envs.base import State

from mpobench import DatasetRequest, TrainingRequest, Workspace
from mpobench.files.keys import content_key
from mpobench.registry.registry import get_registry
from mpobench_mujoco import data, policy, pool
from mpobench_mujoco.env import MujocoEnv

OBS, ACTIONS = 27, 8


def random_policy(seed: int, obs: int = OBS, actions: int = ACTIONS) -> policy.Policy:
    """Weights such that no unit is idle or saturated, and statistics that are neither 0 nor 1."""
    rng = np.random.default_rng(seed)
    made = {"obs_mean": rng.normal(size=obs), "obs_std": rng.uniform(0.5, 2, obs)}
    sizes = (obs, *policy.HIDDEN, actions)
    for layer, (into, out) in enumerate(itertools.pairwise(sizes), start=1):
        made[f"w{layer}"] = rng.normal(size=(out, into)) / np.sqrt(into)
        made[f"b{layer}"] = rng.normal(size=(out, 1)) / 10
    return {name: value.astype(np.float32) for name, value in made.items()}


def request(
    env: MujocoEnv, objective: str = "sft", corruption: str = "base", seed: int = 0, **overrides: Any
) -> TrainingRequest:
    """What a run at the smallest scale would ask of an environment."""
    registry = get_registry()
    loss = registry.build("objective", objective, env.objective_defaults)
    noise = registry.build("corruption", corruption)
    key = content_key([env.name, env.backend, noise.identity, seed])
    dataset = DatasetRequest(noise.component, seed, "smoke", key)
    return TrainingRequest(dataset, loss.registered.card.name, loss.component, seed, overrides)


def invent_pool(
    env: MujocoEnv, dataset: DatasetRequest, workspace: Workspace
) -> dict[str, pool.AgentRollouts]:
    """Fills the rollout pool with random numbers where physics would take minutes; returns it by key.

    Target agents earn about 3000, original ones 2000, with enough spread for the judge to err.
    """
    original = data.agent_policy(env, "original")
    blocks = {}
    for block in env.blocks(dataset):
        key, folder = env.block_key(block), workspace.cache / env.block_path(block)
        if not folder.exists():
            rng = np.random.default_rng(zlib.crc32(key.encode()))
            n, steps = block.episodes, env.settings.task.steps
            observations = rng.normal(size=(n, OBS, steps))
            observations = observations * original["obs_std"][:, None] + original["obs_mean"][:, None]
            level = 3000 if block.role == "target" else 2000
            rollouts = pool.AgentRollouts(
                observations.astype(np.float32),
                rng.normal(scale=0.6, size=(n, ACTIONS, steps)).astype(np.float32),
                rng.normal(level, 1000, n),
                rng.normal(level, 1000, n),
                rng.integers(1, steps + 1, n, dtype=np.int32),
                rng.normal(-8, 1, n).astype(np.float32),
                rng.normal(-30, 5, n).astype(np.float32),
            )
            pool.write_block(folder, rollouts)
        blocks[key] = pool.read_block(folder)
    return blocks


class Countdown(BraxEnv):
    """Lives as many steps as its start state says, then stays dead but keeps paying.

    Observation: (steps left, the last executed action). Reward: 1 + the executed action's sum.
    """

    def reset(self, rng: jax.Array) -> State:
        left = jax.random.randint(rng, (), 1, 12).astype(jnp.float32)
        obs = jnp.concatenate([left[None], jnp.zeros(self.action_size)])
        return State(None, obs, jnp.zeros(()), jnp.zeros(()))

    def step(self, state: State, action: jax.Array) -> State:
        left = state.obs[0] - 1
        done = (left == 0).astype(jnp.float32)  # for a single step: the dead look alive again
        obs = jnp.concatenate([left[None], action])
        return state.replace(obs=obs, reward=1 + jnp.sum(action), done=done)

    @property
    def observation_size(self) -> int:
        return 3

    @property
    def action_size(self) -> int:
        return 2

    @property
    def backend(self) -> str:
        return "spring"
