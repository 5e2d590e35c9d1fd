"""From a recipe to a shipped agent: train with PPO, measure every checkpoint, keep the one nearest the level.

An agent that falls loses comparisons that it should win: checkpoints that fall come last. The nearest few are measured
again, in the episodes from which the card states its level. The best of five is a little nearer there than in others.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mpobench.files.atomic import write_atomically
from mpobench_mujoco import checkpoint, physics, policy, ppo
from mpobench_mujoco.agent_measuring import CARD_EPISODES, level, versions
from mpobench_mujoco.agents import AgentCard, Role
from mpobench_mujoco.env import MujocoEnv
from mpobench_mujoco.settings import Recipe

SCREENING_EPISODES = 64
FINALISTS = 5
"""Checkpoints that are measured again, with as many episodes as the card states: 64 of them choose by luck."""

FEW_FALLS = 0.97
"""Share of episodes of full length from which an agent counts as one that does not fall."""


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
    whole = env.recipe(role)
    recipe = whole if stop_after is None else _cut(whole, stop_after)
    learned = env.std == "learned"
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

    resume: tuple[int, ppo.Params] | None = None
    if steps:
        resume = steps[-1], checkpoint.load(checkpoints / f"{steps[-1]:010d}.safetensors")
    elif learned:
        resume = 0, ppo.from_policy(*_teacher(env, role))
    ppo.train(
        lambda parameters: physics.make(recipe.task, env.backend, **parameters),
        env.settings.task.action_std,
        env.settings.task.steps,
        recipe,
        learned,
        resume,
        keep,
    )
    if recipe != whole:
        return None
    best = _nearest(env, recipe.task, recipe.level, checkpoints, say)
    card = write_agent(env, role, checkpoints / f"{best:010d}.safetensors", best, folder)
    shutil.rmtree(checkpoints)
    return card


def _teacher(env: MujocoEnv, role: Role) -> tuple[policy.Policy, float]:
    """The agent with a fixed standard deviation with which a training begins, and the one to begin with."""
    fixed = env.model_copy(update={"std": "fixed"})
    begun_at = env.recipe(role).phases[0].action_std or env.settings.task.action_std
    return policy.load(fixed.agent(role)[0]), begun_at


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
        rank = {}
        for done in steps:
            params = checkpoint.load(checkpoints / f"{done:010d}.safetensors")
            measured = level(env, task, ppo.to_policy(params), episodes)
            say(
                f"{done / 1e6:.2f} M steps: {measured.mean:.0f} ± {measured.stderr:.0f} on {task}, "
                f"{measured.full_length:.1%} of full length"
            )
            rank[done] = measured.full_length < FEW_FALLS, abs(measured.mean - wanted)
        return sorted(steps, key=rank.__getitem__)

    steps = sorted(int(file.stem) for file in checkpoints.glob("*.safetensors"))
    finalists = nearest_first(steps, SCREENING_EPISODES)[:FINALISTS]
    return nearest_first(finalists, CARD_EPISODES)[0]


def write_agent(env: MujocoEnv, role: Role, params_file: Path, steps: int, folder: Path) -> AgentCard:
    """Writes an agent and its card."""
    agent = ppo.to_policy(checkpoint.load(params_file))
    file = folder / f"{role}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    policy.save(agent, file)
    recipe, task = env.recipe(role), env.settings.task
    card = AgentCard(
        role=role,
        recipe=recipe,
        backend=env.backend,
        action_std=task.action_std,
        parameters=task.parameters,
        levels=[level(env, name, agent, CARD_EPISODES) for name in env.settings.levels],
        command=f"mpobench agents train {env.spec} {role}",
        steps=steps,
        versions=versions(),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    write_atomically(file.with_suffix(".json"), card.model_dump_json(indent=2) + "\n")
    return card
