"""One episode as a film: the poses of all links."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from mpobench import Workspace
from mpobench.env_kit.films import Film, Shape
from mpobench_mujoco import agents, data, policy, rollouts, xla
from mpobench_mujoco.configuration import MujocoConfiguration

if TYPE_CHECKING:
    from brax.envs.base import PipelineEnv, State

FRAME_SECONDS = 0.04
"""Least time between two frames."""

MARK = (0.84, 0.37, 0.0)
"""Colour of links that a task marks."""

_BODY = (0.35, 0.5, 0.65)


def film(
    env: MujocoConfiguration, actor: int | policy.Policy, episode: int, seconds: float, workspace: Workspace
) -> Film:
    """An episode of an agent, by its index, or of a policy; see :class:`mpobench.env_kit.films.HasFilms`."""
    xla.configure(workspace.cache)
    brax = data.brax_env(env)
    acting = data.agent_policy(env, agents.ROLES[actor]) if isinstance(actor, int) else actor
    stride = max(1, round(FRAME_SECONDS / brax.dt))
    steps = min(env.settings.task.steps, stride * round(seconds / (stride * brax.dt)))
    (start,), (noise,) = rollouts.episode_keys(rollouts.Purpose.EVALUATION, episode, 1, stream=0)
    with xla.first_call(f"film-{type(brax).__name__}-{brax.backend}-{steps}"):
        recorded = _poses(brax, env.settings.task.action_std, steps, policy.weights_of(acting),
                          policy.statistics_of(acting), start, noise)  # fmt: skip
    positions, rotations, rewards, alive = (np.asarray(array, np.float64) for array in recorded)
    length = int(alive.sum())
    frames = range(0, length, stride)
    earned = np.cumsum(rewards * alive)
    return Film(
        shapes=_shapes(brax, env.marked_links),
        links=tuple(name or f"link {at}" for at, name in enumerate(brax.sys.link_names)),
        frame_seconds=stride * brax.dt,
        positions=positions[frames].round(4).tolist(),
        rotations=rotations[frames].round(4).tolist(),
        earned=earned[frames].round(2).tolist(),
        ended=length < steps,
    )


@functools.partial(jax.jit, static_argnames=("env", "std", "steps"), compiler_options=xla.ONCE)
def _poses(
    env: PipelineEnv,
    std: float,
    steps: int,
    weights: policy.Weights,
    statistics: policy.Policy,
    start: jax.Array,
    noise: jax.Array,
) -> tuple[jax.Array, ...]:
    """Positions ``(steps, links, 3)``, rotations ``(steps, links, 4)``, rewards and whether the episode still ran."""
    stds = policy.action_std(weights, std)

    def step(carry: tuple[State, jax.Array], noise: jax.Array) -> tuple[Any, Any]:
        state, alive = carry
        seen = policy.normalise(statistics, state.obs[:, None])
        action = policy.mean_action(weights, seen) + stds * noise[:, None]
        following = env.step(state, jnp.clip(action[:, 0], -1.0, 1.0))
        x = state.pipeline_state.x
        return (following, alive * (1.0 - following.done)), (x.pos, x.rot, following.reward, alive)

    drawn = jax.random.normal(noise, (steps, env.action_size))
    _, recorded = jax.lax.scan(step, (env.reset(start), jnp.ones(())), drawn)
    poses: tuple[jax.Array, ...] = recorded
    return poses


def _shapes(env: PipelineEnv, marked: tuple[str, ...]) -> tuple[Shape, ...]:
    """The shapes as brax's own viewer has them; those of marked links in another colour."""
    from brax.io import json as brax_json

    by_link = json.loads(brax_json.dumps(env.sys, []))["geoms"]
    return tuple(
        Shape(
            kind=geom["name"].lower(),
            link=geom["link_idx"],
            position=np.round(geom["pos"], 4).tolist(),
            rotation=np.round(geom["rot"], 4).tolist(),
            size=np.round(geom["size"], 4).tolist(),
            color=MARK if link in marked else _BODY,
        )
        for link, geoms in by_link.items()
        for geom in geoms
    )
