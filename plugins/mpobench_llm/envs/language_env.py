"""The base of language environments: adapters trained on pairs of answers, answers to held-out instructions.

Free of torch at import: planning a run asks for configurations and keys only.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mpobench import Env, Prerequisite, SequenceLogps, Trained, TrainingRequest, Workspace
from mpobench_llm.configuration import LanguageConfiguration
from mpobench_llm.models.lengths import Bound, KeptRows

if TYPE_CHECKING:
    from mpobench import DatasetRequest
    from mpobench.protocols import JsonObject, Scale
    from mpobench_llm.generation.answer import Answer
    from mpobench_llm.models.policy import Policy
    from mpobench_llm.models.tokens import Row

HELD_OUT_LENGTH = 2048
"""Largest number of tokens of a held-out prompt with either of its completions, where the model has as many positions.
Longer pairs are dropped, whatever trainings do: all policies are scored on the same ones."""


class LanguageEnv(LanguageConfiguration, Env):
    """The fine-tuning of a language model on preferences. A subclass has the model, the pairs and the instructions."""

    libraries: ClassVar[tuple[str, ...]] = ("accelerate", "peft", "tokenizers", "torch", "transformers")

    @abstractmethod
    def data_prerequisites(self, request: TrainingRequest) -> list[Prerequisite]:
        """The shared files that the dataset and the model need."""

    @abstractmethod
    def prepare_data(self, payload: Any, workspace: Workspace) -> None:
        """Makes the file of one of :meth:`data_prerequisites`, unless it is there. Safe under concurrent calls.

        Args:
            payload: Payload of the prerequisite; any object but a :class:`~mpobench.TrainingRequest`.
            workspace: Place of the file.
        """

    @abstractmethod
    def held_out_rows(self, scale: Scale, workspace: Workspace) -> list[Row]:
        """Labelled pairs that no training reads, as many as the scale asks for."""

    def held_out_bound(self, workspace: Workspace) -> Bound:
        """The largest length of held-out rows."""
        return Bound(min(HELD_OUT_LENGTH, self.source(workspace).positions or HELD_OUT_LENGTH))

    def checked_held_out(self, kept: KeptRows, bound: Bound, workspace: Workspace) -> list[Row]:
        """Held-out rows, with a line for the user where some were dropped.

        Raises:
            RequestError: If none is left.
        """
        name = f"{self.data_name}, held out"
        kept.counts.check(name, bound.max_length, "take a model of more positions, or other data")
        if any(kept.counts.dropped.values()):
            workspace.note(kept.counts.line(name))
        return kept.rows

    @abstractmethod
    def instructions(self, scale: Scale, workspace: Workspace) -> list[str]:
        """The held-out instructions of evaluations, as many as the scale asks for."""

    def prerequisites(self, request: TrainingRequest) -> Sequence[Prerequisite]:
        """The model, the data, and the SFT stage that all two-stage objectives share."""
        data = self.data_prerequisites(request)
        if not request.objective.two_stage:
            return data
        needs = tuple(prerequisite.key for prerequisite in data)
        return [
            *data,
            Prerequisite(self.sft_key(request), self.sft_path(request), "SFT stages", request, needs),
        ]

    def prepare(self, payload: Any, workspace: Workspace) -> None:
        """Makes the SFT stage of a training, or a file of the data."""
        if not isinstance(payload, TrainingRequest):
            self.prepare_data(payload, workspace)
            return
        from mpobench_llm.training.sft_stage import make_sft_stage

        make_sft_stage(self, payload, workspace)

    def train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        """Trains an adapter with transformers' Trainer. A stopped training goes on from its last checkpoint."""
        from mpobench_llm.training import policy_training

        return policy_training.train(self, request, workspace)

    def pair_logps(
        self, request: DatasetRequest, workspace: Workspace
    ) -> tuple[SequenceLogps, SequenceLogps]:
        """Log π of both completions of a dataset's pairs under the policy at the end of the SFT stage."""
        from mpobench_llm.training import policy_training

        return policy_training.pair_logps(self, request, workspace)

    def as_recorded(self, dataset_config: JsonObject) -> LanguageEnv:  # for subclasses
        """This environment with the model of a result.

        Args:
            dataset_config: What :meth:`~mpobench.Env.dataset_config` said when the result was computed.
        """
        return self

    def original(self) -> Policy:
        """The untrained model as a policy."""
        from mpobench_llm.models.policy import Policy

        return Policy()

    def answers(
        self,
        policy: Policy,
        seed: int,
        scale: Scale,
        workspace: Workspace,
        instructions: Sequence[str] | None = None,
    ) -> list[Answer]:
        """A policy's answers.

        Args:
            policy: Policy that answers.
            seed: Seed of the sampling. Policies of one seed draw the same random numbers.
            scale: Scale, which decides the number of held-out instructions.
            workspace: Cache with the model, and progress reports.
            instructions: Instructions in place of the held-out ones; each is answered once.
        """
        from mpobench_llm.generation import answering

        return answering.answers(
            self.source(workspace),
            policy,
            self.instructions(scale, workspace) if instructions is None else instructions,
            seed,
            self.settings.sampling,
            self.evaluation_settings(scale).batch,
            lambda fraction: workspace.report("evaluation", fraction),
        )

    def save_policy(self, policy: Policy, folder: Path) -> None:
        """Writes the adapter in peft's format."""
        policy.save(folder)

    def load_policy(self, folder: Path) -> Policy:
        """Reads an adapter in peft's format."""
        from mpobench_llm.models.policy import Policy

        return Policy.load(folder)
