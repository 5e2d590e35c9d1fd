"""The part of ``smollm-style`` that planning needs: settings, prompts, blocks of answers, content keys.

Free of torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Literal, TypeAlias

from mpobench import DatasetRequest, Workspace
from mpobench.env_kit.env_file import load_env_file
from mpobench.env_kit.pool import pool_blocks
from mpobench.files.keys import content_key
from mpobench_llm.configuration import LanguageConfiguration
from mpobench_llm.envs.smollm_style import model
from mpobench_llm.envs.smollm_style.rules import EXAMPLES, INSTRUCTION, FluencySettings
from mpobench_llm.settings import EnvSettings

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject, Scale
    from mpobench_llm.models.base_model import ModelSource

ROLLOUTS = 1
"""Version of the sampled answers, raised when they change, if only by rounding."""

Role: TypeAlias = Literal["original", "target"]
Purpose: TypeAlias = Literal["data", "held-out"]

ROLES: tuple[Role, ...] = ("original", "target")
"""The agents in the order of :data:`mpobench.ORIGINAL` and :data:`mpobench.TARGET`."""

TRAINING_PROMPTS = 384
"""Number of lines of ``prompts.txt`` that trainings read; the others are held out."""


class StyleSettings(EnvSettings):
    """The environment's file.

    Attributes:
        fluency: Bounds of fluency, a factor of the return.
        levels: Mean return of each agent on the held-out prompts.
    """

    fluency: FluencySettings
    levels: dict[str, float]


@dataclass(frozen=True)
class Block:
    """A block of the pool: answers of one agent to consecutive prompts.

    Attributes:
        role: Agent.
        draw: Side of the pairs, 0 or 1: an agent that gives both answers samples twice.
        first: Number of the first prompt.
        count: Number of prompts.
        purpose: Prompts of trainings (``data``) or held-out ones.
    """

    role: Role
    draw: int
    first: int
    count: int
    purpose: Purpose = "data"


class StyleConfiguration(LanguageConfiguration):
    """The configuration of ``smollm-style``."""

    @property
    def settings(self) -> StyleSettings:
        """The file ``smollm_style.toml``."""
        return load_env_file(StyleSettings, "mpobench_llm.envs.smollm_style", "smollm_style.toml")

    @cached_property
    def prompts(self) -> list[str]:
        """All prompts: those of trainings, then the held-out ones."""
        file = resources.files("mpobench_llm.envs.smollm_style").joinpath("prompts.txt")
        return file.read_text("utf-8").removesuffix("\n").split("\n")

    def dataset_config(self, scale: Scale) -> JsonObject:
        """The model, the prompts, the task, and the number of pairs."""
        return {
            "version": ROLLOUTS,
            "task": self._task,
            "fluency": self.settings.fluency.model_dump(),
            "pairs": self.dataset_settings(scale).pairs,
        }

    @cached_property
    def _task(self) -> JsonObject:
        return {
            "model": model.packaged()[1],
            "prompts": content_key(self.prompts),
            "target": content_key([INSTRUCTION, EXAMPLES]),
            "sampling": self.settings.sampling.model_dump(),
        }

    def model_key(self) -> str:
        """Content key of the converted model."""
        return content_key({"make": "model", "file": model.packaged()[1]})

    def model_path(self) -> str:
        """Folder of the converted model, relative to the cache."""
        return f"models/{self.model_key()}"

    def source(self, workspace: Workspace, precision: str = "float32") -> ModelSource:
        """The converted model; it is converted unless it is there.

        Answers and evaluations are in float32, so that those of different machines compare.
        """
        from mpobench_llm.models.base_model import ModelSource

        folder = workspace.cache / self.model_path()
        model.convert(folder)
        return ModelSource(str(folder), model.HUB_NAME, precision)

    def block_key(self, block: Block) -> str:
        """Content key of a block of answers: its name in the cache."""
        return content_key({"make": "answers", "version": ROLLOUTS, "task": self._task, **asdict(block)})

    def block_path(self, block: Block) -> str:
        """File of a block of answers, relative to the cache."""
        return f"answers/{self.block_key(block)}.json"

    def pairs(self, scale: Scale) -> int:
        """Number of pairs of a dataset at a scale."""
        return self.dataset_settings(scale).pairs or TRAINING_PROMPTS

    def blocks(self, request: DatasetRequest) -> list[Block]:
        """The blocks of answers that a dataset picks from."""
        size = self.dataset_settings(request.scale).block
        blocks = pool_blocks(request.corruption, self.pairs(request.scale), size, request.seed)
        return [Block(ROLES[block.agent], block.draw, block.first, block.count) for block in blocks]

    def selected_prompts(self, purpose: Purpose, first: int, count: int) -> list[str]:
        """Consecutive prompts. After the last one comes the first one again.

        Args:
            purpose: Prompts of trainings (``data``) or held-out ones.
            first: Number of the first prompt.
            count: Number of prompts.
        """
        pool = self.prompts[:TRAINING_PROMPTS] if purpose == "data" else self.prompts[TRAINING_PROMPTS:]
        return [pool[i % len(pool)] for i in range(first, first + count)]
