"""The part of a MuJoCo environment that planning needs: settings, agents, blocks of rollouts, content keys.

Free of jax: planning a run asks for configurations and keys only.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mpobench import DatasetRequest, RequestError, TrainingRequest
from mpobench.env_kit.env_file import load_env_file
from mpobench.env_kit.pair_labels import draw_sources
from mpobench.env_kit.pool import pool_blocks
from mpobench.env_kit.toml_env import TomlEnv
from mpobench.files.keys import content_key
from mpobench.registry.specs import canonical
from mpobench_mujoco import agents
from mpobench_mujoco.settings import (
    DatasetSettings,
    EnvSettings,
    EvaluationSettings,
    Recipe,
    TrainingSettings,
)

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject, Scale

PHYSICS = {"spring": 2, "positional": 2, "generalized": 3, "mjx": 3}
"""Versions of the rollouts of each backend, raised when they change, if only by rounding."""


@dataclass(frozen=True)
class Block:
    """A block of the rollout pool: episodes of one agent from consecutive start states.

    Attributes:
        role: Agent.
        draw: Side of the pairs, 0 or 1: two draws from the same start state differ in their action noise.
        first: Number of the first episode.
        episodes: Number of episodes.
    """

    role: agents.Role
    draw: int
    first: int
    episodes: int


class MujocoConfiguration(TomlEnv[TrainingSettings, DatasetSettings, EvaluationSettings]):
    """The configuration of a brax task on which two agents generate preference data.

    A subclass names its TOML file; everything that belongs to the task is in there.

    Attributes:
        name: Name under which its agents are shipped.
        settings_file: Name of its TOML file, beside this module.
        marked_links: Links that films show in another colour.
    """

    name: ClassVar[str]
    settings_file: ClassVar[str]
    marked_links: ClassVar[tuple[str, ...]] = ()
    training_model: ClassVar[type[TrainingSettings]] = TrainingSettings

    backend: Literal["spring", "generalized", "positional", "mjx"] = Field(
        "spring", description="brax physics backend; agents belong to one"
    )
    std: Literal["fixed", "learned"] = Field(
        "fixed",
        description="standard deviation of the actions: the environment's, or the policy's own, one number an action",
    )

    @property
    def settings(self) -> EnvSettings:
        """The environment's TOML file."""
        return load_env_file(EnvSettings, "mpobench_mujoco", self.settings_file)

    @property
    def spec(self) -> str:
        """Canonical spec of this environment."""
        return canonical(self.name, self.model_dump(exclude_defaults=True), positional="backend")

    @property
    def agents_name(self) -> str:
        """Name of the folder of its two agents, who belong to a backend and to a kind of standard deviation."""
        return f"{self.name}-{self.backend}" + ("-learned-std" if self.std == "learned" else "")

    def recipe(self, role: agents.Role) -> Recipe:
        """Recipe of an agent's training.

        Raises:
            RequestError: If there is none.
        """
        recipes = self.settings.learned_std_agents if self.std == "learned" else self.settings.agents
        if role not in recipes:
            raise RequestError(f"{self.spec} has no {role} agent, and no recipe for one: try tla:std=learned")
        return recipes[role]

    def agent(self, role: agents.Role) -> tuple[Path, agents.AgentCard]:
        """Weights and card of an agent (see :func:`mpobench_mujoco.agents.find`)."""
        return agents.find(self.agents_name, self.spec, role)

    def dataset_config(self, scale: Scale) -> JsonObject:
        """The task, the two agents (by digest) and the number of pairs."""
        return {
            "task": self.settings.task.model_dump(),
            "agents": {role: self.agent(role)[1].sha256 for role in agents.ROLES},
            "pairs": self.dataset_settings(scale).pairs,
        }

    def training_config(self, request: TrainingRequest) -> JsonObject:
        """The fields of :class:`~mpobench_mujoco.settings.TrainingSettings` that this training reads."""
        training = self.training_settings(request)
        pairs = self.dataset_settings(request.dataset.scale).pairs
        for name in ("pairs_per_update", "po_pairs_per_update"):
            if (getattr(training, name) or 0) > pairs:
                raise RequestError(
                    f"training.{name} = {getattr(training, name)} is more than the dataset's {pairs} pairs"
                )
        own = self.pairs_per_update(request)
        if request.objective.two_stage:
            unread, read = {"epochs"}, {"po_pairs_per_update": own}
        else:
            unread = {"sft_epochs", "po_epochs", "po_learning_rate", "keep_optimizer_state"}
            read = {"pairs_per_update": own}
        usual = self.training_settings(replace(request, overrides={}))
        # Left out where they change nothing, as the next field is.
        unread = unread | (_at_default(training) & _at_default(usual))
        if not request.objective.two_stage or own == training.pairs_per_update:
            unread = unread | {"po_pairs_per_update"}
        return training.model_copy(update=read).model_dump(exclude=unread)

    def pairs_per_update(self, request: TrainingRequest) -> int:
        """Minibatch size of the stage that the objective rules."""
        training = self.training_settings(request)
        if training.po_pairs_per_update is not None:
            return training.po_pairs_per_update
        pairs = self.dataset_settings(request.dataset.scale).pairs
        return max(training.pairs_per_update, min(request.objective.min_pairs, pairs))

    def block_key(self, block: Block) -> str:
        """Content key of a block of rollouts: its name in the cache."""
        return content_key(
            {
                "make": "rollouts",
                "physics": PHYSICS[self.backend],
                "task": self.settings.task.model_dump(),
                "backend": self.backend,
                "agent": self.agent(block.role)[1].sha256,
                "other": self.agent(agents.other(block.role))[1].sha256,
                **asdict(block),
            }
        )

    def block_path(self, block: Block) -> str:
        """Folder of a block of rollouts, relative to the cache."""
        return f"rollouts/{self.block_key(block)}"

    def sft_key(self, request: TrainingRequest) -> str:
        """Content key of an SFT stage: data, seed and optimizer, but not the objective that follows it."""
        training = self.training_settings(request)
        kept = {"start", "sft_epochs", "pairs_per_update", "learning_rate", "max_grad_norm"}
        kept |= {"stride", "schedule"} - _at_default(training)
        return content_key(
            {
                "make": "sft",
                "dataset": request.dataset.key,
                "trajectories": self.trajectories_key(request.dataset),
                "training": training.model_dump(include=kept),
                "seed": request.seed,
            }
        )

    def sft_path(self, request: TrainingRequest) -> str:
        """File of an SFT stage, relative to the cache."""
        return f"sft/{self.sft_key(request)}.safetensors"

    def blocks(self, request: DatasetRequest) -> list[Block]:
        """The blocks of rollouts that a dataset picks from: every block of each (side, agent) that occurs.

        Datasets of different seeds have no episode in common, so that the spread over seeds is that over datasets, too.
        """
        settings = self.dataset_settings(request.scale)
        blocks = pool_blocks(request.corruption, settings.pairs, settings.block, request.seed)
        first = self.first_episode(request)
        return [
            Block(agents.ROLES[block.agent], block.draw, first + block.first, block.count) for block in blocks
        ]

    def first_episode(self, request: DatasetRequest) -> int:
        """Number of the episodes of a dataset's first pair."""
        return request.seed * self.dataset_settings(request.scale).pairs

    def trajectories_key(self, request: DatasetRequest) -> str:
        """Content key of a dataset's trajectories, whatever their labels: corruptions may share them."""
        pairs = self.dataset_settings(request.scale).pairs
        sources = draw_sources(request.corruption, pairs, request.seed)
        normalised_by = self.agent("original")[1].sha256
        blocks = [self.block_key(block) for block in self.blocks(request)]
        return content_key([blocks, normalised_by, hashlib.sha256(sources.tobytes()).hexdigest()])

    def program_key(self, request: TrainingRequest, epochs: int, pairs_per_update: int) -> str:
        """Content key of the shapes that trainings in one program share."""
        training = self.training_settings(request)
        shape = training.model_dump(include={"max_grad_norm", "schedule", "stride"})
        pairs = self.dataset_settings(request.dataset.scale).pairs
        return content_key([self.agents_name, pairs, epochs, pairs_per_update, shape])


def _at_default(training: TrainingSettings) -> set[str]:
    """The fields that came later and have their default: keys that are older do not have them."""
    fields = TrainingSettings.model_fields
    return {name for name in ("stride", "schedule") if getattr(training, name) == fields[name].default}
