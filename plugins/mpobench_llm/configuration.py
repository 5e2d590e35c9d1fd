"""The part of a language environment that planning and training need: settings, content keys, the model, the rows.

Free of torch: planning a run asks for configurations and keys only.
"""

from __future__ import annotations

import importlib.util
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from mpobench import RequestError, TrainingRequest, Workspace
from mpobench.env_kit.toml_env import TomlEnv
from mpobench.files.keys import content_key
from mpobench_llm.models.lengths import Bound, KeptRows
from mpobench_llm.models.positions import check_positions
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
"""Packages of the extra ``llm`` that a training needs. A plan asks for them, so that a run does not stop halfway."""

OVERLONG_ADVICE = "raise it (--training max_length=…), or add --training overlong=cut"
"""What to do where all pairs of a dataset are too long."""


def check_installed(who: str, packages: Sequence[str]) -> None:
    """Checks that packages of the extra ``llm`` are there, without importing them.

    Raises:
        RequestError: If some are not.
    """
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    if absent:
        raise RequestError(f"{who} need {', '.join(absent)}: pip install 'mpobench[llm]'")


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
    def read_rows(self, request: TrainingRequest, workspace: Workspace) -> KeptRows:
        """The dataset of a training as tokens, prompts with (chosen, rejected), and what was left out of it."""

    @property
    @abstractmethod
    def data_name(self) -> str:
        """Name of the dataset in lines for the user."""

    def kept_rows(self, request: TrainingRequest, workspace: Workspace) -> KeptRows:
        """The same as :meth:`read_rows`, with a line for the user that says what was kept.

        Raises:
            RequestError: If nothing is kept, or ``max_length`` is more than the model has positions.
        """
        bound, source = self.bound(request), self.source(workspace)
        check_positions(source.name, source.positions, bound.max_length)
        kept = self.read_rows(request, workspace)
        kept.counts.check(self.data_name, bound.max_length, OVERLONG_ADVICE)
        workspace.note(kept.counts.line(self.data_name))
        return kept

    def rows(self, request: TrainingRequest, workspace: Workspace) -> list[Row]:
        """The rows of :meth:`kept_rows`."""
        return self.kept_rows(request, workspace).rows

    def bound(self, request: TrainingRequest) -> Bound:
        """The largest length of a training's rows."""
        settings = self.training_settings(request)
        return Bound(settings.max_length, settings.overlong)

    def training_config(self, request: TrainingRequest) -> JsonObject:
        """The fields of :class:`~mpobench_llm.settings.TrainingSettings` that decide this training's result.

        Raises:
            RequestError: For an override that is unknown or out of range, or if the extra ``llm`` is not installed.
        """
        check_installed("language models", EXTRA)
        training, own = self.training_settings(request), self.objective_settings(request).accumulation
        pairs = self.dataset_settings(request.dataset.scale).pairs
        if pairs is not None and training.pairs_per_batch > pairs:
            raise RequestError(
                f"training.pairs_per_batch = {training.pairs_per_batch} is more than the dataset's {pairs} pairs"
            )
        if request.objective.two_stage:
            unread, read = {"epochs"}, {"po_accumulation": own}
        else:
            unread = {"sft_epochs", "po_epochs", "po_learning_rate", "lora_dropout"}
            read = {"accumulation": own}
        if not request.objective.two_stage or own == training.accumulation:  # keys are older than the field
            unread = unread | {"po_accumulation"}
        return training.model_copy(update=read).model_dump(exclude=set(NOT_IN_KEY) | unread)

    def objective_settings(self, request: TrainingRequest) -> TrainingSettings:
        """The settings of the stage that the objective rules: ``accumulation`` is its own."""
        training = self.training_settings(request)
        own = training.po_accumulation
        if own is None:
            pairs = self.dataset_settings(request.dataset.scale).pairs
            needed = request.objective.min_pairs if pairs is None else min(request.objective.min_pairs, pairs)
            own = max(training.accumulation, math.ceil(needed / training.pairs_per_batch))
        return training.model_copy(update={"accumulation": own})

    def pairs_per_update(self, request: TrainingRequest) -> int:
        """Number of pairs in an update of the stage that the objective rules, at most all pairs."""
        training = self.objective_settings(request)
        pairs = self.dataset_settings(request.dataset.scale).pairs
        update = training.pairs_per_batch * training.accumulation
        return update if pairs is None else min(update, pairs)

    def sft_key(self, request: TrainingRequest) -> str:
        """Content key of an SFT stage: data, seed and optimizer, but not the objective that follows it."""
        unread = {"epochs", "po_epochs", "po_learning_rate", "po_accumulation"}
        return content_key(
            {
                "make": "sft",
                "dataset": request.dataset.key,
                "training": self.training_settings(request).model_dump(exclude=set(NOT_IN_KEY) | unread),
                "seed": request.seed,
            }
        )

    def sft_path(self, request: TrainingRequest) -> str:
        """Folder of an SFT stage, relative to the cache, whichever precision this machine computes in."""
        return f"sft/{self.sft_key(request)}"

    def reference_path(self, request: TrainingRequest, precision: str) -> str:
        """File with log π of a dataset's pairs under the untrained model, relative to the cache.

        Args:
            request: Training.
            precision: Precision in which they are computed: ``bfloat16`` or ``float32``.
        """
        settings = self.training_settings(request)
        key = content_key([request.dataset.key, settings.max_length, settings.overlong, precision])
        return f"reference/{key}.safetensors"
