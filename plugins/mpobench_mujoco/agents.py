"""The agents that generate the data: shipped as safetensors, each with a card that says how it was made."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import ValidationError

from mpobench import RequestError
from mpobench.env_kit.env_file import Settings
from mpobench.errors import problems
from mpobench.files.text import without_mark
from mpobench_mujoco.settings import Recipe

Role: TypeAlias = Literal["original", "target"]
ROLES: tuple[Role, Role] = ("original", "target")
"""In the order of :data:`mpobench.ORIGINAL` and :data:`mpobench.TARGET`."""


def other(role: Role) -> Role:
    """The other agent."""
    return ROLES[1 - ROLES.index(role)]


class Level(Settings):
    """A measured mean return.

    Attributes:
        task: Task of the rollouts, at the environment's own action noise.
        mean: Mean return.
        stderr: Standard error of the mean.
        episodes: Number of episodes.
    """

    task: str
    mean: float
    stderr: float
    episodes: int


class AgentCard(Settings):
    """Origin and level of an agent.

    Attributes:
        role: ``original`` or ``target``.
        recipe: Recipe of its training: task, seed and PPO's settings.
        backend: Physics backend of brax.
        action_std: Standard deviation of its action noise, in training and in every rollout.
        parameters: Parameters of the environment's task when its levels were measured.
        levels: Returns of the agent.
        command: Command that trains it.
        steps: Environment steps until this checkpoint.
        versions: Versions of the libraries.
        sha256: Digest of the safetensors file.
    """

    role: Role
    recipe: Recipe
    backend: str
    action_std: float
    parameters: Mapping[str, float]
    levels: list[Level]
    command: str
    steps: int
    versions: dict[str, str]
    sha256: str

    def level(self, task: str) -> Level:
        """The agent's return on a task."""
        return next(level for level in self.levels if level.task == task)


TRAINED = Path("agents")
"""Folder of agents that ``mpobench agents train`` makes, in the working folder."""


def shipped(env: str, backend: str) -> Path:
    """Folder of the package's agents of an environment on a backend."""
    return Path(str(resources.files("mpobench_mujoco"))) / "agents" / f"{env}-{backend}"


def trained(env: str, backend: str) -> Path:
    """Folder of the user's own agents of an environment on a backend."""
    return TRAINED / f"{env}-{backend}"


@functools.cache
def find(env: str, backend: str, role: Role) -> tuple[Path, AgentCard]:
    """An agent's weights and card: the shipped one, or else the user's own.

    Raises:
        RequestError: If there is none for this backend, or its file is not the one the card describes.
    """
    files = [folder(env, backend) / f"{role}.safetensors" for folder in (shipped, trained)]
    file = next((file for file in files if file.exists() and file.with_suffix(".json").exists()), None)
    if file is None:
        packaged = sorted(
            path.name.removeprefix(f"{env}-")
            for path in files[0].parent.parent.glob(f"{env}-*")
            if path.is_dir()
        )
        raise RequestError(
            f"{env}:backend={backend} has no {role} agent (agents exist for: {', '.join(packaged) or 'none'}); "
            f"train it with: mpobench agents train {env} {role} --backend {backend}"
        )
    card_file = file.with_suffix(".json")
    try:
        card = AgentCard.model_validate_json(without_mark(card_file.read_bytes()))
    except ValidationError as error:
        raise RequestError(
            f"{card_file} is not an agent's card ({problems(error)[0]}): reinstall mpobench or train it again"
        ) from error
    if hashlib.sha256(file.read_bytes()).hexdigest() != card.sha256:
        raise RequestError(
            f"{file} is not the agent that {card_file.name} describes: reinstall mpobench or train it again"
        )
    return file, card
