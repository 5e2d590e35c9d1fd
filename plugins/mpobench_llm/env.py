"""What all language environments share: adapters trained on pairs of answers, and answers to held-out instructions.

Free of torch at import: planning a run asks for configurations and keys only.
"""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mpobench import Env, Prerequisite, RequestError, SequenceLogps, Trained, TrainingRequest, Workspace
from mpobench.files.keys import content_key
from mpobench_llm.settings import (
    UNKEYED,
    EnvSettings,
    EvaluationSettings,
    TrainingSettings,
    resolve_training,
)

if TYPE_CHECKING:
    from mpobench import DatasetRequest
    from mpobench.protocols import JsonObject, Scale
    from mpobench_llm.answers import Answer
    from mpobench_llm.models import Policy, Source
    from mpobench_llm.tokens import Row


EXTRA = ("accelerate", "datasets", "gguf", "peft", "torch", "transformers")
"""Packages without which nothing trains; asked for before a run begins, not by a traceback in its midst."""


class LanguageEnv(Env):
    """Fine-tuning a language model on preferences. A subclass says which model, which pairs, which instructions."""

    libraries: ClassVar[tuple[str, ...]] = ("accelerate", "peft", "tokenizers", "torch", "transformers")

    @property
    @abstractmethod
    def settings(self) -> EnvSettings:
        """What the environment's TOML says."""

    @abstractmethod
    def source(self, workspace: Workspace, precision: str = "auto") -> Source:
        """Where the untrained model is; :meth:`preparations` have made it."""

    @abstractmethod
    def preparations(self, request: TrainingRequest) -> list[Prerequisite]:
        """What has to be made before a dataset can be read."""

    @abstractmethod
    def rows(self, request: TrainingRequest, workspace: Workspace) -> list[Row]:
        """The dataset as a training reads it: prompts with (chosen, rejected), as tokens."""

    @abstractmethod
    def held_out_rows(self, scale: Scale, workspace: Workspace) -> list[Row]:
        """Labelled pairs that no training reads, as many as a scale asks for."""

    @abstractmethod
    def instructions(self, scale: Scale, workspace: Workspace) -> list[str]:
        """The held-out instructions that evaluators ask."""

    def training_settings(self, request: TrainingRequest) -> TrainingSettings:
        """The resolved training configuration of a request."""
        return resolve_training(
            self.settings, request.dataset.scale, request.objective_name, request.overrides
        )

    def evaluation_settings(self, scale: Scale) -> EvaluationSettings:
        """How many answers a score takes at a scale."""
        return self.settings.scale[scale].evaluation

    def objective_defaults(self, name: str, fields: frozenset[str]) -> dict[str, Any]:
        """The environment's defaults for an objective's fields."""
        return self.settings.objective_defaults(name, fields)

    def search_defaults(self, scale: Scale) -> dict[str, Any]:
        """What ``search`` in the environment's TOML says."""
        return self.settings.search_defaults(scale)

    def training_config(self, request: TrainingRequest) -> JsonObject:
        """The fields of :class:`~mpobench_llm.settings.TrainingSettings` that decide what this training computes.

        Raises:
            RequestError: for an override that is unknown or out of range, or if the extra ``llm`` is not installed.
        """
        absent = [name for name in EXTRA if importlib.util.find_spec(name) is None]
        if absent:
            raise RequestError(f"language models need {', '.join(absent)}: pip install 'mpobench[llm]'")
        training = self.training_settings(request)
        pairs = self.settings.scale[request.dataset.scale].dataset.pairs
        if pairs is not None and training.pairs_per_batch > pairs:
            raise RequestError(
                f"training.pairs_per_batch = {training.pairs_per_batch} is more than the dataset's {pairs} pairs"
            )
        unread = (
            {"epochs"} if request.objective.two_stage else {"sft_epochs", "po_epochs", "po_learning_rate"}
        )
        return training.model_dump(exclude=set(UNKEYED) | unread)

    def prerequisites(self, request: TrainingRequest) -> Sequence[Prerequisite]:
        """The model, the data, and the SFT stage that all two-stage objectives share."""
        from mpobench_llm.stages import sft_payload

        made = self.preparations(request)
        if not request.objective.two_stage:
            return made
        key = content_key(sft_payload(self, request))
        needs = tuple(each.key for each in made)
        return [*made, Prerequisite(key, f"sft/{key}", "SFT stages", request, needs)]

    def prepare(self, payload: JsonObject | TrainingRequest, workspace: Workspace) -> None:
        """Makes the SFT stage of a training; a subclass makes what :meth:`preparations` names."""
        if not isinstance(payload, TrainingRequest):
            raise TypeError(f"{type(self).__name__} cannot make {payload['make']!r}")
        from mpobench_llm import training

        training.sft_stage(self, payload, workspace)

    def train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        """Trains an adapter with transformers' Trainer; a stopped training goes on from its last checkpoint."""
        from mpobench_llm import training

        return training.train(self, request, workspace)

    def pair_logps(
        self, request: DatasetRequest, workspace: Workspace
    ) -> tuple[SequenceLogps, SequenceLogps]:
        """Log π of both completions of a dataset's pairs under the policy at the end of the SFT stage."""
        from mpobench_llm import training

        return training.pair_logps(self, request, workspace)

    def original(self) -> Policy:
        """The untrained model."""
        from mpobench_llm.models import Policy

        return Policy()

    def answers(
        self,
        policy: Policy,
        seed: int,
        scale: Scale,
        workspace: Workspace,
        instructions: Sequence[str] | None = None,
    ) -> list[Answer]:
        """A policy's answers, sampled as the environment samples all answers.

        Args:
            policy: that speaks.
            seed: of the sampling; policies of one seed draw the same random numbers.
            scale: how many held-out instructions there are.
            workspace: with the model.
            instructions: to answer in place of the held-out ones, once each.
        """
        from mpobench_llm import speaking

        asked = self.instructions(scale, workspace) if instructions is None else list(instructions)
        return speaking.answers(self, policy, seed, scale, workspace, asked)

    def save_policy(self, policy: Policy, folder: Path) -> None:
        """Writes the adapter in peft's format."""
        policy.save(folder)

    def load_policy(self, folder: Path) -> Policy:
        """Reads an adapter in peft's format."""
        from mpobench_llm.models import Policy

        return Policy.load(folder)
