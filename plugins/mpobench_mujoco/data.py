"""Rollouts for a task: blocks of the pool, and whole datasets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mpobench import DatasetRequest, Workspace
from mpobench.env_kit.pair_labels import Labels, draw_sources, label
from mpobench.files import locks
from mpobench_mujoco import agents, physics, policy, pool, rollouts, xla
from mpobench_mujoco.configuration import Block, MujocoConfiguration
from mpobench_mujoco.learner import Trajectories, all_logps

if TYPE_CHECKING:
    from brax.envs.base import PipelineEnv


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
        facts: Measured properties of the dataset, see :class:`mpobench.Trained`.
    """

    trajectories: Trajectories
    labels: Labels
    returns: NDArray[np.float64]
    chosen: NDArray[np.int32]
    rejected: NDArray[np.int32]
    facts: dict[str, float]


def brax_env(env: MujocoConfiguration) -> PipelineEnv:
    """The brax environment of a task."""
    task = env.settings.task
    return physics.make(task.task, env.backend, **task.parameters)


def agent_policy(env: MujocoConfiguration, role: agents.Role) -> policy.Policy:
    """One of the environment's two agents."""
    return policy.load(env.agent(role)[0])


def make_block(env: MujocoConfiguration, block: Block, workspace: Workspace) -> pool.AgentRollouts:
    """A block of the pool: read from the cache, or rolled out and kept there."""
    folder = workspace.cache / env.block_path(block)

    def make() -> None:
        xla.configure(workspace.cache)
        task = env.settings.task
        stream = 2 * agents.ROLES.index(block.role) + block.draw
        keys = rollouts.episode_keys(rollouts.Purpose.DATA, block.first, block.episodes, stream)
        acting = agent_policy(env, block.role)
        made = rollouts.roll_out(brax_env(env), acting, task.action_std, task.steps, *keys)
        own, other = (
            mean_logps(made, agent, task.action_std)
            for agent in (acting, agent_policy(env, agents.other(block.role)))
        )
        pool.write_block(folder, pool.AgentRollouts(**vars(made), own_logps=own, other_logps=other))

    locks.once(folder, make)
    return pool.read_block(folder)


def mean_logps(episodes: rollouts.Rollouts, judge: policy.Policy, std: float) -> NDArray[np.float32]:
    """Mean log π(a|s) of each episode's steps under a policy, ``(episodes,)`` nats a step.

    Args:
        episodes: Episodes, of any policy.
        judge: Policy whose probabilities are meant.
        std: Its action noise, if it has none of its own.
    """
    observations = policy.normalise(judge, jnp.asarray(episodes.observations))
    trajectories = Trajectories(observations, jnp.asarray(episodes.actions), jnp.asarray(episodes.lengths))
    totals = np.asarray(all_logps(policy.weights_of(judge), trajectories, std))
    return (totals / episodes.lengths).astype(np.float32)


@dataclass(frozen=True)
class _Picked:
    """The episodes of a dataset, whatever their labels.

    Attributes:
        trajectories: Trajectories, see :class:`PreferenceData`.
        returns: ``(pairs, 2)``, true returns.
        ended_early: ``(pairs, 2)``, whether the episode ended before its last step.
        distance: ``(pairs, 2)``, mean of log π(a|s) under the acting agent minus that under the other, nats a step.
    """

    trajectories: Trajectories
    returns: NDArray[np.float64]
    ended_early: NDArray[np.bool_]
    distance: NDArray[np.float32]


_last: dict[tuple[str, int, Path], _Picked] = {}


def load_dataset(
    env: MujocoConfiguration, request: DatasetRequest, workspace: Workspace, stride: int = 1
) -> PreferenceData:
    """A dataset, which callers do not change.

    The last trajectories stay in memory, because trainings on one dataset follow each other; a dataset that only labels
    the same trajectories differently (with another noise) finds them there, too.

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
    picked = _last[key]
    labels = label(request.corruption, sources, picked.returns, request.seed)
    pair = np.arange(pairs, dtype=np.int32)
    first_chosen = labels.chosen == 0
    return PreferenceData(
        picked.trajectories,
        labels,
        picked.returns,
        np.where(first_chosen, pair, pairs + pair),
        np.where(first_chosen, pairs + pair, pair),
        _facts(picked, labels),
    )


def _facts(picked: _Picked, labels: Labels) -> dict[str, float]:
    facts = {
        "wrong labels, %": 100 * (1 - labels.correct),
        "episodes that ended early, %": 100 * float(picked.ended_early.mean()),
        "log π of a step under its own agent less the other's, nats": float(picked.distance.mean()),
    }
    between = labels.sources[:, 0] != labels.sources[:, 1]
    if between.any():
        rows = np.flatnonzero(between)
        target = labels.sources[rows].argmax(axis=1)  # the side of the target agent
        returns = picked.returns
        reversed_pairs = returns[rows, target] < returns[rows, 1 - target]
        facts = {
            "reversed pairs (the original agent earns more), %": 100 * float(reversed_pairs.mean()),
            **facts,
        }
    return facts


def _pick(
    env: MujocoConfiguration,
    request: DatasetRequest,
    sources: NDArray[np.int8],
    workspace: Workspace,
    stride: int,
) -> _Picked:
    """Episodes from the pool."""
    xla.configure(workspace.cache)
    pairs = len(sources)
    original = agent_policy(env, "original")
    steps = len(range(0, env.settings.task.steps, stride))
    n = 2 * pairs
    observations = np.empty((n, original["obs_mean"].size, steps), np.float32)
    actions = np.empty((n, original["b3"].size, steps), np.float32)
    returns, lengths, distance = np.empty(n), np.empty(n, np.int32), np.empty(n, np.float32)
    for block in env.blocks(request):
        made = make_block(env, block, workspace)
        first = block.first - env.first_episode(request)
        wanted = sources[first : first + block.episodes, block.draw] == agents.ROLES.index(block.role)
        rows = block.draw * pairs + first + np.flatnonzero(wanted)
        observations[rows] = made.observations[wanted, :, ::stride]
        actions[rows] = made.actions[wanted, :, ::stride]
        returns[rows], lengths[rows] = made.returns[wanted], made.lengths[wanted]
        distance[rows] = made.own_logps[wanted] - made.other_logps[wanted]
    observations -= original["obs_mean"][:, None]
    observations /= original["obs_std"][:, None]
    read = jnp.asarray(-(-lengths // stride))
    trajectories = Trajectories(jnp.asarray(observations), jnp.asarray(actions), read)

    def by_pair(values: NDArray[Any]) -> NDArray[Any]:
        return values.reshape(2, pairs).T

    return _Picked(
        trajectories, by_pair(returns), by_pair(lengths < env.settings.task.steps), by_pair(distance)
    )
