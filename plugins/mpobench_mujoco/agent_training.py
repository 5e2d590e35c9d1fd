"""From a recipe to a shipped agent: train with PPO, measure every checkpoint, keep the one nearest the level.

An agent that falls loses comparisons that it should win: checkpoints that fall come last. The nearest few are measured
again, in the episodes from which the card states its level. The best of five is a little nearer there than in others.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mpobench import DatasetRequest, Workspace
from mpobench.files.atomic import write_atomically
from mpobench.protocols import CLEAN
from mpobench.registry.registry import get_registry
from mpobench_mujoco import checkpoint, data, physics, policy, ppo, rollouts
from mpobench_mujoco.agents import ROLES, AgentCard, Level, PairFacts, Role
from mpobench_mujoco.env import MujocoEnv
from mpobench_mujoco.settings import Recipe

AGENTS = 2
"""Purpose of start states: an agent's level is measured from states that no dataset begins in."""

SCREENING_EPISODES, CARD_EPISODES, BATCH = 64, 512, 64
FINALISTS = 5
"""Checkpoints that are measured again, with as many episodes as the card states: 64 of them choose by luck."""

MEASURED_PAIRS = 1280
"""Pairs of clean data whose properties are measured: the paper's number. Datasets of as many seeds as that takes."""

FEW_FALLS = 0.97
"""Share of episodes of full length from which an agent counts as one that does not fall."""


def level(env: MujocoEnv, task: str, agent: policy.Policy, episodes: int) -> Level:
    """An agent's mean return on a task, at the environment's own noise and parameters."""
    settings = env.settings.task
    simulated = physics.make(task, env.backend, **settings.parameters_of(task))
    blocks = [
        rollouts.roll_out(
            simulated,
            agent,
            settings.action_std,
            settings.steps,
            *rollouts.episode_keys(AGENTS, first, BATCH, stream=0),
        )
        for first in range(0, episodes, BATCH)
    ]
    returns = np.concatenate([block.returns for block in blocks])
    lengths = np.concatenate([block.lengths for block in blocks])
    return Level(
        task=task,
        mean=float(returns.mean()),
        stderr=float(returns.std(ddof=1) / np.sqrt(len(returns))),
        full_length=float(np.mean(lengths == settings.steps)),
        episodes=episodes,
    )


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
    return policy.load(fixed.agent(role)[0]), env.recipe(role).phases[
        0
    ].action_std or env.settings.task.action_std


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
        versions=_versions(),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    write_atomically(file.with_suffix(".json"), card.model_dump_json(indent=2) + "\n")
    return card


def measure(env: MujocoEnv, workspace: Workspace) -> PairFacts:
    """Measures the two agents of an environment again: the levels on their cards, and the data that they generate.

    Args:
        env: Environment of the agents.
        workspace: Place of the rollout pool.

    Returns:
        The properties of their data, written beside their files as ``pairs.json``.
    """
    digests = {}
    for role in ROLES:
        file, card = env.agent(role)
        agent = policy.load(file)
        levels = [level(env, task, agent, CARD_EPISODES) for task in env.settings.levels]
        card = card.model_copy(
            update={"levels": levels, "parameters": env.settings.task.parameters, "versions": _versions()}
        )
        write_atomically(file.with_suffix(".json"), card.model_dump_json(indent=2) + "\n")
        digests[role] = card.sha256
    clean = get_registry().build("corruption", CLEAN).component
    pairs = env.dataset_settings("paper").pairs
    measured = [
        data.load_dataset(env, DatasetRequest(clean, seed, "paper", key=""), workspace).facts
        for seed in range(math.ceil(MEASURED_PAIRS / pairs))
    ]
    facts = PairFacts(
        sha256=digests,
        pairs=pairs * len(measured),
        facts={name: math.fsum(each[name] for each in measured) / len(measured) for name in measured[0]},
        versions=_versions(),
    )
    write_atomically(file.with_name("pairs.json"), facts.model_dump_json(indent=2) + "\n")
    return facts


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("brax", "jax", "jaxlib", "mujoco")}
