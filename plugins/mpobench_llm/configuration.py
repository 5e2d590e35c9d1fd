"""The part of a language environment that planning and training need: settings, content keys, the model, the rows.

Free of torch: planning a run asks for configurations and keys only.
"""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from mpobench import RequestError, TrainingRequest, Workspace
from mpobench.env_kit.toml_env import TomlEnv
from mpobench.files.keys import content_key
from mpobench_llm.settings import (
    NOT_IN_KEY,
    DatasetSettings,
    EnvSettings,
    EvaluationSettings,
    TrainingSettings,
)

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject
    from mpobench_llm.models.base_model import ModelSource
    from mpobench_llm.models.tokens import Row

EXTRA = ("accelerate", "datasets", "gguf", "peft", "torch", "transformers")
"""Packages of the extra ``llm``. A plan asks for them, so that a run does not stop halfway."""


class LanguageConfiguration(TomlEnv[TrainingSettings, DatasetSettings, EvaluationSettings]):
    """The configuration of an environment on which a language model is fine-tuned."""

    training_model: ClassVar[type[TrainingSettings]] = TrainingSettings

    @property
    @abstractmethod
    def settings(self) -> EnvSettings:
        """The environment's TOML file."""

    @abstractmethod
    def source(self, workspace: Workspace, precision: str = "auto") -> ModelSource:
        """The place of the untrained model."""

    @abstractmethod
    def rows(self, request: TrainingRequest, workspace: Workspace) -> list[Row]:
        """The dataset of a training as tokens: prompts with (chosen, rejected)."""

    def training_config(self, request: TrainingRequest) -> JsonObject:
        """The fields of :class:`~mpobench_llm.settings.TrainingSettings` that decide this training's result.

        Raises:
            RequestError: For an override that is unknown or out of range, or if the extra ``llm`` is not installed.
        """
        absent = [name for name in EXTRA if importlib.util.find_spec(name) is None]
        if absent:
            raise RequestError(f"language models need {', '.join(absent)}: pip install 'mpobench[llm]'")
        training = self.training_settings(request)
        pairs = self.dataset_settings(request.dataset.scale).pairs
        if pairs is not None and training.pairs_per_batch > pairs:
            raise RequestError(
                f"training.pairs_per_batch = {training.pairs_per_batch} is more than the dataset's {pairs} pairs"
            )
        unread = (
            {"epochs"}
            if request.objective.two_stage
            else {"sft_epochs", "po_epochs", "po_learning_rate", "lora_dropout"}
        )
        return training.model_dump(exclude=set(NOT_IN_KEY) | unread)

    def sft_key(self, request: TrainingRequest) -> str:
        """Content key of an SFT stage: data, seed and optimizer, but not the objective that follows it."""
        unread = {"epochs", "po_epochs", "po_learning_rate"}
        return content_key(
            {
                "make": "sft",
                "dataset": request.dataset.key,
                "training": self.training_settings(request).model_dump(exclude=set(NOT_IN_KEY) | unread),
                "seed": request.seed,
            }
        )

    def sft_path(self, request: TrainingRequest) -> str:
        """Folder of an SFT stage, relative to the cache."""
        return f"sft/{self.sft_key(request)}"

    def reference_path(self, request: TrainingRequest) -> str:
        """File with log π of a dataset's pairs under the untrained model, relative to the cache."""
        settings = self.training_settings(request)
        key = content_key([request.dataset.key, settings.max_length, settings.precision])
        return f"reference/{key}.safetensors"
