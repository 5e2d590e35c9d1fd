"""From a recipe to a shipped agent: train with PPO, measure every checkpoint, keep the one nearest the level.

The nearest few are measured again, in the episodes from which the card states its level. The best of five is a little
nearer there than in other episodes.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mpobench.files.atomic import write_atomically
from mpobench_mujoco import checkpoint, physics, policy, ppo, rollouts
from mpobench_mujoco.agents import AgentCard, Level, Role
from mpobench_mujoco.env import MujocoEnv
from mpobench_mujoco.settings import Recipe

AGENTS = 2
"""Purpose of start states: an agent's level is measured from states that no dataset begins in."""

SCREENING_EPISODES, CARD_EPISODES, BATCH = 64, 512, 64
FINALISTS = 5
"""Checkpoints that are measured again, with as many episodes as the card states: 64 of them choose by luck."""


def level(env: MujocoEnv, task: str, agent: policy.Policy, episodes: int) -> Level:
    """An agent's mean return on a task, at the environment's own noise and parameters."""
    settings = env.settings.task
    simulated = physics.make(task, env.backend, **settings.parameters_of(task))
    returns = np.concatenate(
        [
            rollouts.roll_out(
                simulated,
                agent,
                settings.action_std,
                settings.steps,
                *rollouts.episode_keys(AGENTS, first, BATCH, stream=0),
            ).returns
            for first in range(0, episodes, BATCH)
        ]
    )
    stderr = float(returns.std(ddof=1) / np.sqrt(len(returns)))
    return Level(task=task, mean=float(returns.mean()), stderr=stderr, episodes=episodes)


def train(
    env: MujocoEnv, role: Role, folder: Path, stop_after: int | None, say: Callable[[str], None]
) -> AgentCard | None:
    """Trains an agent, or goes on with a training that was stopped.

    Args:
        env: Environment of the agent.
        role: Role of the agent.
        folder: Folder of ``<role>.safetensors``, ``<role>.json`` and the checkpoints.
        stop_after: Environment steps after which to stop with a checkpoint; None for the whole training.
        say: Function of a line about the progress.

    Returns:
        The agent's card, or None if the training stopped before its end.
    """
    whole = env.settings.agents[role]
    recipe = whole if stop_after is None else _cut(whole, stop_after)
    checkpoints = folder / f"{role}-checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    total = sum(phase.steps for phase in recipe.phases)
    steps = sorted(int(file.stem) for file in checkpoints.glob("*.safetensors"))
    began, begun_at = time.monotonic(), steps[-1] if steps else 0

    def keep(done: int, params: ppo.Params) -> None:
        checkpoint.save(params, checkpoints / f"{done:010d}.safetensors")
        seconds = time.monotonic() - began
        left = seconds / (done - begun_at) * (total - done)
        say(f"{done / 1e6:.1f} of {total / 1e6:.1f} M steps, {seconds:.0f} s, ETA {left:.0f} s")

    resume = (steps[-1], checkpoint.load(checkpoints / f"{steps[-1]:010d}.safetensors")) if steps else None
    ppo.train(
        lambda parameters: physics.make(recipe.task, env.backend, **parameters),
        env.settings.task.action_std,
        env.settings.task.steps,
        recipe,
        resume,
        keep,
    )
    if recipe != whole:
        return None
    best = _nearest(env, recipe.task, recipe.level, checkpoints, say)
    card = write_agent(env, role, checkpoints / f"{best:010d}.safetensors", best, folder)
    shutil.rmtree(checkpoints)
    return card


def _cut(recipe: Recipe, steps: int) -> Recipe:
    """The recipe's first steps."""
    phases, left = [], steps
    for phase in recipe.phases:
        if left > 0:
            phases.append(phase.model_copy(update={"steps": min(phase.steps, left)}))
        left -= phase.steps
    return recipe.model_copy(update={"phases": tuple(phases)})


def _nearest(env: MujocoEnv, task: str, wanted: float, checkpoints: Path, say: Callable[[str], None]) -> int:
    """Steps of the checkpoint whose level is nearest to the wanted one."""

    def nearest_first(steps: Sequence[int], episodes: int) -> list[int]:
        distances = {}
        for done in steps:
            params = checkpoint.load(checkpoints / f"{done:010d}.safetensors")
            measured = level(env, task, ppo.to_policy(params), episodes)
            say(f"{done / 1e6:.2f} M steps: {measured.mean:.0f} ± {measured.stderr:.0f} on {task}")
            distances[done] = abs(measured.mean - wanted)
        return sorted(steps, key=distances.__getitem__)

    steps = sorted(int(file.stem) for file in checkpoints.glob("*.safetensors"))
    finalists = nearest_first(steps, SCREENING_EPISODES)[:FINALISTS]
    return nearest_first(finalists, CARD_EPISODES)[0]


def write_agent(env: MujocoEnv, role: Role, params_file: Path, steps: int, folder: Path) -> AgentCard:
    """Writes an agent and its card."""
    agent = ppo.to_policy(checkpoint.load(params_file))
    file = folder / f"{role}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    policy.save(agent, file)
    recipe, task = env.settings.agents[role], env.settings.task
    card = AgentCard(
        role=role,
        recipe=recipe,
        backend=env.backend,
        action_std=task.action_std,
        parameters=task.parameters,
        levels=[level(env, name, agent, CARD_EPISODES) for name in env.settings.levels],
        command=f"mpobench agents train {env.name} {role} --backend {env.backend}",
        steps=steps,
        versions={name: version(name) for name in ("brax", "jax", "jaxlib", "mujoco")},
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    write_atomically(file.with_suffix(".json"), card.model_dump_json(indent=2) + "\n")
    return card
