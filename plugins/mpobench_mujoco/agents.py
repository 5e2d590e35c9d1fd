"""The agents that generate the data: shipped as safetensors, each with a card that says how it was made."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

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
        full_length: Share of the episodes that lasted to their last step.
        episodes: Number of episodes.
    """

    task: str
    mean: float
    stderr: float
    full_length: float
    episodes: int


class AgentCard(Settings):
    """Origin and level of an agent.

    Attributes:
        role: ``original`` or ``target``.
        recipe: Recipe of its training: task, seed and PPO's settings.
        backend: Physics backend of brax.
        action_std: Standard deviation of its action noise in every rollout, unless it has its own.
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


class PairFacts(Settings):
    """Measured properties of the data that two agents generate.

    Attributes:
        sha256: Digests of the two agents' files.
        pairs: Number of pairs of the base datasets that were measured, at the paper scale.
        facts: Its properties, by name with unit (see :class:`mpobench.Trained`).
        between: Mean return on the task of the policies that act between the two agents
            (:func:`mpobench_mujoco.policy.blended`), by the target's share in percent. What cloning mixed labels can
            reach depends on it.
        versions: Versions of the libraries.
    """

    sha256: Mapping[Role, str]
    pairs: int
    facts: Mapping[str, float]
    between: Mapping[str, float] = {}
    versions: dict[str, str]


TRAINED = Path("agents")
"""Folder of agents that ``mpobench agents train`` makes, in the working folder."""


def shipped(name: str) -> Path:
    """Folder of the package's agents of this name (:attr:`MujocoConfiguration.agents_name`)."""
    return Path(str(resources.files("mpobench_mujoco"))) / "agents" / name


def trained(name: str) -> Path:
    """Folder of the user's own agents of this name."""
    return TRAINED / name


@functools.cache
def find(name: str, env: str, role: Role) -> tuple[Path, AgentCard]:
    """An agent's weights and card: the shipped one, or else the user's own.

    Args:
        name: Name of the two agents' folder.
        env: Spec of their environment, for errors.
        role: Role of the agent.

    Raises:
        RequestError: If there is none, or its file is not the one the card describes.
    """
    files = [folder(name) / f"{role}.safetensors" for folder in (shipped, trained)]
    file = next((file for file in files if file.exists() and file.with_suffix(".json").exists()), None)
    if file is None:
        packaged = sorted(path.name for path in files[0].parent.parent.iterdir() if path.is_dir())
        raise RequestError(
            f"{env} has no {role} agent (shipped are: {', '.join(packaged)}); "
            f"train it with: mpobench agents train {env} {role}"
        )
    card_file = file.with_suffix(".json")
    card = _read(AgentCard, card_file, "an agent's card")
    if hashlib.sha256(file.read_bytes()).hexdigest() != card.sha256:
        raise RequestError(
            f"{file} is not the agent that {card_file.name} describes: reinstall mpobench or train it again"
        )
    return file, card


def find_pair_facts(folder: Path) -> PairFacts | None:
    """What was measured of the data of the two agents in a folder; None if nothing was, or of other agents.

    Raises:
        RequestError: If the file is damaged.
    """
    file = folder / "pairs.json"
    if not file.exists():
        return None
    measured = _read(PairFacts, file, "a description of two agents' data")
    digests = {
        role: hashlib.sha256((folder / f"{role}.safetensors").read_bytes()).hexdigest() for role in ROLES
    }
    return measured if measured.sha256 == digests else None


_Card = TypeVar("_Card", bound=Settings)


def _read(model: type[_Card], file: Path, what: str) -> _Card:
    try:
        return model.model_validate_json(without_mark(file.read_bytes()))
    except ValidationError as error:
        raise RequestError(
            f"{file} is not {what} ({problems(error)[0]}): reinstall mpobench or train the agents again"
        ) from error
