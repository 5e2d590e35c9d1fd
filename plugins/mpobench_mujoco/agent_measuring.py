"""What agents are worth: their levels, and the clean data that they generate."""

from __future__ import annotations

import math
from importlib.metadata import version

import numpy as np

from mpobench import DatasetRequest, Workspace
from mpobench.display.progress import Display
from mpobench.files.atomic import write_atomically
from mpobench.protocols import CLEAN
from mpobench.registry.registry import get_registry
from mpobench_mujoco import data, physics, policy, rollouts
from mpobench_mujoco.agents import ROLES, Level, PairFacts
from mpobench_mujoco.env import MujocoEnv

CARD_EPISODES, BATCH = 512, 64

SHARES = ("10", "30", "50", "70", "90")
"""Shares of the target in policies between the two agents, in percent."""

MEASURED_PAIRS = 1280
"""Pairs of clean data whose properties are measured: the paper's number. Datasets of as many seeds as that takes."""


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
            *rollouts.episode_keys(rollouts.Purpose.AGENTS, first, BATCH, stream=0),
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


def measure(env: MujocoEnv, workspace: Workspace) -> PairFacts:
    """Measures the two agents of an environment again: the levels on their cards, and the data that they generate.

    Args:
        env: Environment of the agents.
        workspace: Place of the rollout pool.

    Returns:
        The properties of their data, written beside their files as ``pairs.json``.
    """
    clean = get_registry().build("corruption", CLEAN).component
    pairs = env.dataset_settings("paper").pairs
    seeds = range(math.ceil(MEASURED_PAIRS / pairs))
    digests, loaded, found, between = {}, [], [], {}
    with Display(
        {
            "levels": dict.fromkeys(ROLES, 1.0),
            "levels between the two": dict.fromkeys(SHARES, 1.0),
            "data": dict.fromkeys(map(str, seeds), 1.0),
        }
    ) as display:
        for role in ROLES:
            display.update(role, "levels", 0.0)
            file, card = env.agent(role)
            agent = policy.load(file)
            loaded.append(agent)
            levels = [level(env, task, agent, CARD_EPISODES) for task in env.settings.levels]
            known = {"levels": levels, "parameters": env.settings.task.parameters, "versions": versions()}
            write_atomically(
                file.with_suffix(".json"), card.model_copy(update=known).model_dump_json(indent=2) + "\n"
            )
            digests[role] = card.sha256
            display.finish(role, ("levels",))
        original, target = loaded
        for share in SHARES:
            display.update(share, "levels between the two", 0.0)
            blend = policy.blended(original, target, int(share) / 100)
            between[share] = level(env, env.settings.levels[0], blend, CARD_EPISODES).mean
            display.finish(share, ("levels between the two",))
        for seed in seeds:
            display.update(str(seed), "data", 0.0)
            request = DatasetRequest(clean, seed, "paper", key="")
            found.append(data.load_dataset(env, request, workspace).facts)
            display.finish(str(seed), ("data",))
    facts = PairFacts(
        sha256=digests,
        pairs=pairs * len(found),
        facts={name: math.fsum(each[name] for each in found) / len(found) for name in found[0]},
        between=between,
        versions=versions(),
    )
    write_atomically(file.with_name("pairs.json"), facts.model_dump_json(indent=2) + "\n")
    return facts


def versions() -> dict[str, str]:
    """Versions of the libraries that decide what an agent does."""
    return {name: version(name) for name in ("brax", "jax", "jaxlib", "mujoco")}
