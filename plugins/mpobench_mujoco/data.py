"""Rollouts for a task: blocks of the pool, whole datasets, and evaluation episodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mpobench import DatasetRequest, Workspace, locks
from mpobench.keys import content_key
from mpobench.labels import Labels, draw_sources, label
from mpobench_mujoco import agents, physics, policy, pool, rollouts, xla
from mpobench_mujoco.learner import Trajectories

if TYPE_CHECKING:
    from brax.envs.base import PipelineEnv

    from mpobench.protocols import JsonObject
    from mpobench_mujoco.env import MujocoEnv
    from mpobench_mujoco.settings import EvaluationSettings

DATA, EVALUATION = 0, 1
"""Purposes of start states: no policy is scored from a state that its data began in."""


@dataclass(frozen=True)
class PreferenceData:
    """A labelled dataset, ready to train on.

    Attributes:
        trajectories: on the device, observations normalised by the original agent's statistics; the first sides
            of all pairs, then the second ones.
        labels: who generated what, and what was preferred.
        returns: ``(pairs, 2)`` true returns.
        chosen: ``(pairs,)`` index of the preferred trajectory.
        rejected: ``(pairs,)`` index of the other.
    """

    trajectories: Trajectories
    labels: Labels
    returns: NDArray[np.float64]
    chosen: NDArray[np.int32]
    rejected: NDArray[np.int32]


def brax_env(env: MujocoEnv) -> PipelineEnv:
    """The brax environment of a task."""
    task = env.settings.task
    return physics.make(task.task, env.backend, task.leg_penalty)


def agent_policy(env: MujocoEnv, role: agents.Role) -> policy.Policy:
    """One of the environment's two agents."""
    return policy.load(agents.find(env.name, env.backend, role)[0])


def make_block(env: MujocoEnv, payload: JsonObject, workspace: Workspace) -> rollouts.Rollouts:
    """A block of the pool: read from the cache, or rolled out and kept there."""
    folder = pool.block_folder(workspace.cache, content_key(payload))

    def make() -> None:
        xla.configure(workspace.cache)
        task = env.settings.task
        role: agents.Role = payload["role"]
        stream = 2 * agents.ROLES.index(role) + payload["draw"]
        keys = rollouts.episode_keys(DATA, payload["first"], payload["episodes"], stream)
        made = rollouts.roll_out(brax_env(env), agent_policy(env, role), task.action_std, task.steps, *keys)
        pool.write_block(folder, made)

    locks.once(folder, make)
    return pool.read_block(folder)


_last: dict[tuple[str, int, Path], tuple[Trajectories, NDArray[np.float64]]] = {}


def load_dataset(
    env: MujocoEnv, request: DatasetRequest, workspace: Workspace, stride: int = 1
) -> PreferenceData:
    """A dataset, not to be changed.

    The last trajectories stay in memory, because trainings on one dataset follow each other; a dataset that only labels
    the same trajectories differently (of another seed, or another noise) finds them there, too.

    Args:
        env: whose dataset.
        request: which.
        workspace: with the pool of rollouts.
        stride: of every so many steps, one is there (see :class:`~mpobench_mujoco.settings.TrainingSettings`).
    """
    pairs = env.dataset_settings(request.scale).pairs
    sources = draw_sources(request.corruption, pairs, request.seed)
    key = (env.trajectories_key(request), stride, workspace.cache)
    if key not in _last:
        _last.clear()  # first, so that there is never more than one
        _last[key] = _pick(env, request, sources, workspace, stride)
    trajectories, returns = _last[key]
    labels = label(request.corruption, sources, returns, request.seed)
    pair = np.arange(pairs, dtype=np.int32)
    first_chosen = labels.chosen == 0
    return PreferenceData(
        trajectories,
        labels,
        returns,
        np.where(first_chosen, pair, pairs + pair),
        np.where(first_chosen, pairs + pair, pair),
    )


def _pick(
    env: MujocoEnv, request: DatasetRequest, sources: NDArray[np.int8], workspace: Workspace, stride: int
) -> tuple[Trajectories, NDArray[np.float64]]:
    """Trajectories from the pool, and their returns by pair, ``(pairs, 2)``."""
    xla.configure(workspace.cache)
    pairs = len(sources)
    original = agent_policy(env, "original")
    steps = len(range(0, env.settings.task.steps, stride))
    n = 2 * pairs
    observations = np.empty((n, original["obs_mean"].size, steps), np.float32)
    actions = np.empty((n, original["b3"].size, steps), np.float32)
    returns, lengths = np.empty(n), np.empty(n, np.int32)
    for payload in env.blocks(request):
        block = make_block(env, payload, workspace)
        first, side = payload["first"], payload["draw"]
        wanted = sources[first : first + payload["episodes"], side] == agents.ROLES.index(payload["role"])
        rows = side * pairs + first + np.flatnonzero(wanted)
        observations[rows] = block.observations[wanted, :, ::stride]
        actions[rows] = block.actions[wanted, :, ::stride]
        returns[rows] = block.returns[wanted]
        lengths[rows] = -(-block.lengths[wanted] // stride)
    observations -= original["obs_mean"][:, None]
    observations /= original["obs_std"][:, None]
    trajectories = Trajectories(jnp.asarray(observations), jnp.asarray(actions), jnp.asarray(lengths))
    return trajectories, returns.reshape(2, pairs).T


def evaluation_returns(
    env: MujocoEnv,
    acting: policy.Policy,
    seed: int,
    settings: EvaluationSettings,
    workspace: Workspace,
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Returns and lengths of a policy's evaluation episodes, ``(episodes,)`` each."""
    xla.configure(workspace.cache)
    task = env.settings.task
    returns, lengths = [], []
    for first in range(0, settings.episodes, settings.batch):
        episodes = min(settings.batch, settings.episodes - first)
        keys = rollouts.episode_keys(EVALUATION, seed * settings.episodes + first, episodes, stream=0)
        block = rollouts.roll_out(brax_env(env), acting, task.action_std, task.steps, *keys)
        returns.append(block.returns)
        lengths.append(block.lengths)
        workspace.report("evaluation", (first + episodes) / settings.episodes)
    return np.concatenate(returns), np.concatenate(lengths)
