"""Rollouts for a task: blocks of the pool, whole datasets, and evaluation episodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mpobench import DatasetRequest, Workspace
from mpobench.env_kit.pair_labels import Labels, draw_sources, label
from mpobench.files import locks
from mpobench_mujoco import agents, physics, policy, pool, rollouts, xla
from mpobench_mujoco.configuration import Block, MujocoConfiguration
from mpobench_mujoco.learner import Trajectories
from mpobench_mujoco.settings import EvaluationSettings

if TYPE_CHECKING:
    from brax.envs.base import PipelineEnv

DATA, EVALUATION = 0, 1
"""Purposes of start states: no policy is scored from a start state of its training data."""


@dataclass(frozen=True)
class PreferenceData:
    """A labelled dataset, ready to train on.

    Attributes:
        trajectories: Trajectories on the device, observations normalised by the original agent's; the first sides
            of all pairs, then the second ones.
        labels: Agent of each side, and preferred side of each pair.
        returns: ``(pairs, 2)``, true returns.
        chosen: ``(pairs,)``, index of the preferred trajectory.
        rejected: ``(pairs,)``, index of the other trajectory.
    """

    trajectories: Trajectories
    labels: Labels
    returns: NDArray[np.float64]
    chosen: NDArray[np.int32]
    rejected: NDArray[np.int32]


def brax_env(env: MujocoConfiguration) -> PipelineEnv:
    """The brax environment of a task."""
    task = env.settings.task
    return physics.make(task.task, env.backend, **task.parameters)


def agent_policy(env: MujocoConfiguration, role: agents.Role) -> policy.Policy:
    """One of the environment's two agents."""
    return policy.load(agents.find(env.name, env.backend, role)[0])


def make_block(env: MujocoConfiguration, block: Block, workspace: Workspace) -> rollouts.Rollouts:
    """A block of the pool: read from the cache, or rolled out and kept there."""
    folder = workspace.cache / env.block_path(block)

    def make() -> None:
        xla.configure(workspace.cache)
        task = env.settings.task
        stream = 2 * agents.ROLES.index(block.role) + block.draw
        keys = rollouts.episode_keys(DATA, block.first, block.episodes, stream)
        made = rollouts.roll_out(
            brax_env(env), agent_policy(env, block.role), task.action_std, task.steps, *keys
        )
        pool.write_block(folder, made)

    locks.once(folder, make)
    return pool.read_block(folder)


_last: dict[tuple[str, int, Path], tuple[Trajectories, NDArray[np.float64]]] = {}


def load_dataset(
    env: MujocoConfiguration, request: DatasetRequest, workspace: Workspace, stride: int = 1
) -> PreferenceData:
    """A dataset, which callers do not change.

    The last trajectories stay in memory, because trainings on one dataset follow each other; a dataset that only labels
    the same trajectories differently (of another seed, or another noise) finds them there, too.

    Args:
        env: Configuration of the environment.
        request: Dataset.
        workspace: Place of the rollout pool.
        stride: Every ``stride``-th step is read (see :class:`~mpobench_mujoco.settings.TrainingSettings`).
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
    env: MujocoConfiguration,
    request: DatasetRequest,
    sources: NDArray[np.int8],
    workspace: Workspace,
    stride: int,
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
    for block in env.blocks(request):
        made = make_block(env, block, workspace)
        last = block.first + block.episodes
        wanted = sources[block.first : last, block.draw] == agents.ROLES.index(block.role)
        rows = block.draw * pairs + block.first + np.flatnonzero(wanted)
        observations[rows] = made.observations[wanted, :, ::stride]
        actions[rows] = made.actions[wanted, :, ::stride]
        returns[rows] = made.returns[wanted]
        lengths[rows] = -(-made.lengths[wanted] // stride)
    observations -= original["obs_mean"][:, None]
    observations /= original["obs_std"][:, None]
    trajectories = Trajectories(jnp.asarray(observations), jnp.asarray(actions), jnp.asarray(lengths))
    return trajectories, returns.reshape(2, pairs).T


def evaluation_returns(
    env: MujocoConfiguration,
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
