"""Environments: tasks with a true reward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from mpobench.protocols.component import Component, JsonObject, Scale
from mpobench.protocols.corruption import DatasetCorruption
from mpobench.protocols.requests import Trained, TrainingRequest
from mpobench.protocols.search_range import Searched
from mpobench.protocols.workspace import Prerequisite, Workspace


class Env(Component, ABC):
    """A task with a true reward: it builds preference datasets and trains policies on them.

    The ``*_config`` methods are pure and cheap (no jax, no torch, no files beyond the plugin's own): planning a run
    calls them thousands of times. An environment that trains many policies in one program also inherits from
    :class:`~mpobench.GroupTraining`.

    Attributes:
        default_evaluators: Specs of the evaluators that a run uses when it names none.
        libraries: Distributions whose versions belong into every result.
    """

    default_evaluators: ClassVar[tuple[str, ...]]
    libraries: ClassVar[tuple[str, ...]] = ()

    def skip_reason(self, corruption: DatasetCorruption) -> str | None:
        """The reason why this corruption makes no sense here, or None. Its cells are then *skipped*."""
        return None

    def objective_defaults(self, name: str, fields: frozenset[str]) -> dict[str, Any]:
        """This environment's defaults for an objective's fields; explicit values win over them.

        Args:
            name: The objective's card name.
            fields: Names of the objective's fields.
        """
        return {}

    @abstractmethod
    def dataset_config(self, scale: Scale) -> JsonObject:
        """Everything besides the environment's own fields, corruption and seed that decides a dataset.

        Raises:
            RequestError: If the environment cannot build one (no agents for a backend, say).
        """

    @abstractmethod
    def training_config(self, request: TrainingRequest) -> JsonObject:
        """The resolved training configuration: the scale's, the objective's defaults, the user's overrides.

        Asked at one seed for all: it must not depend on the seed.

        Raises:
            RequestError: For an override that is unknown or out of range.
        """

    def pairs_per_update(self, request: TrainingRequest) -> int | None:
        """Number of pairs in an update of the stage that the objective rules; None where that means nothing.

        Pages mark rows that have another one than most. By default it is at least the objective's ``min_pairs``, or all
        pairs that there are; where a user states less, a run says so.
        """
        return None

    def training_searches(self, request: TrainingRequest) -> dict[str, Searched]:
        """Fields of the training configuration that tuning may search for this request, with their ranges.

        Only fields that :meth:`training_config` names: those that the training reads.
        """
        return {}

    def check_data(self, request: TrainingRequest) -> None:
        """Checks, before a run begins, what planning has no time for: that the dataset can be read, say.

        Asked for every training that is due, in the process that starts the run or shows what it would do, and not when
        trainings are only planned.

        Raises:
            RequestError: If the training cannot succeed. The run ends, and nothing has been computed.
        """

    def prerequisites(self, request: TrainingRequest) -> Sequence[Prerequisite]:
        """The shared files that this training reads, each after those that it needs."""
        return ()

    def prepare(self, payload: Any, workspace: Workspace) -> None:
        """Makes the file of one prerequisite, unless it is there. Safe under concurrent calls.

        Args:
            payload: Payload of the prerequisite.
            workspace: Place of the file.

        Raises:
            DivergedError: When a loss or weights leave the finite numbers.
        """
        raise NotImplementedError(f"{type(self).__name__} declares prerequisites but cannot prepare them")

    @abstractmethod
    def train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        """Trains one policy.

        Raises:
            DivergedError: When the loss or the weights leave the finite numbers.
        """

    @abstractmethod
    def save_policy(self, policy: Any, folder: Path) -> None:
        """Writes a trained policy into an existing, empty folder (safetensors and JSON, never pickle)."""

    @abstractmethod
    def load_policy(self, folder: Path) -> Any:
        """Reads a policy that :meth:`save_policy` wrote."""
