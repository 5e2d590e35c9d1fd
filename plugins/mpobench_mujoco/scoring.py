"""True returns of a policy's evaluation episodes, and its divergence from its reference on them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mpobench import Workspace
from mpobench_mujoco import policy, rollouts, xla
from mpobench_mujoco.configuration import MujocoConfiguration
from mpobench_mujoco.data import brax_env
from mpobench_mujoco.settings import EvaluationSettings


@dataclass(frozen=True)
class EpisodeScores:
    """True returns of a policy's evaluation episodes.

    Attributes:
        returns: ``(episodes,)``, return until the episode ended.
        returns_with_resets: ``(episodes,)``, return over all steps: a fallen policy starts again.
        lengths: ``(episodes,)``, steps until the episode ended.
        divergences: ``(episodes,)``, KL(π(·|s) ‖ π_ref(·|s)) summed over the states until the episode ended, in nats;
            NaN for a policy without a reference, as an agent's.
    """

    returns: NDArray[np.float64]
    returns_with_resets: NDArray[np.float64]
    lengths: NDArray[np.int32]
    divergences: NDArray[np.float64]


def divergences(acting: policy.Policy, episodes: rollouts.Rollouts, std: float) -> NDArray[np.float64]:
    """KL to the reference policy on the states that a policy has visited (see :class:`EpisodeScores`).

    Args:
        acting: Policy that acted.
        episodes: Its episodes.
        std: The environment's action noise.
    """
    reference = policy.reference_of(acting)
    if reference is None:
        return np.full(len(episodes.lengths), np.nan)
    observations = policy.normalise(acting, jnp.asarray(episodes.observations))
    summed = _summed_divergences(
        policy.weights_of(acting), reference, observations, jnp.asarray(episodes.lengths), std
    )
    return np.asarray(summed, np.float64)


@jax.jit
def _summed_divergences(
    weights: policy.Weights,
    reference: policy.Weights,
    observations: jax.Array,
    lengths: jax.Array,
    std: float,
) -> jax.Array:
    def one(episode: tuple[jax.Array, jax.Array]) -> jax.Array:
        seen, length = episode
        alive = jnp.arange(seen.shape[1]) < length
        return jnp.sum(policy.step_divergences(weights, reference, seen, std) * alive)

    summed: jax.Array = jax.lax.map(one, (observations, lengths))
    return summed


def evaluation_scores(
    env: MujocoConfiguration,
    acting: policy.Policy,
    seed: int,
    settings: EvaluationSettings,
    workspace: Workspace,
) -> EpisodeScores:
    """Rolls a policy out for its score."""
    xla.configure(workspace.cache)
    task = env.settings.task
    blocks = []
    for first in range(0, settings.episodes, settings.batch):
        episodes = min(settings.batch, settings.episodes - first)
        keys = rollouts.episode_keys(
            rollouts.Purpose.EVALUATION, seed * settings.episodes + first, episodes, stream=0
        )
        rolled = rollouts.roll_out(brax_env(env), acting, task.action_std, task.steps, *keys)
        diverged = divergences(acting, rolled, task.action_std)
        blocks.append(EpisodeScores(rolled.returns, rolled.returns_with_resets, rolled.lengths, diverged))
        workspace.report("evaluation", (first + episodes) / settings.episodes)
    return EpisodeScores(
        *(np.concatenate([getattr(block, field.name) for block in blocks]) for field in fields(EpisodeScores))
    )
