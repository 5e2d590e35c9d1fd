"""An optional ability of environments: the training of many policies in one program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from mpobench.protocols.requests import Trained, TrainingRequest
from mpobench.protocols.workspace import Workspace


class GroupTraining(ABC):
    """A mixin for an :class:`~mpobench.Env` whose device trains many policies in the time of one.

    Trainings with the same group key form groups. A group gives, up to rounding, the results of its members trained
    alone. A member that fails in its group is trained alone afterwards, so that a result never depends on its group.
    """

    @abstractmethod
    def group_key(self, request: TrainingRequest) -> str:
        """A text that trainings of one group have in common (pure, cheap). Empty: always trained alone."""

    @abstractmethod
    def group_size(self) -> int:
        """Preferred group size on this worker's device; 1 where parallel workers are as fast."""

    @abstractmethod
    def train_group(
        self, requests: Sequence[TrainingRequest], workspace: Workspace
    ) -> Sequence[Trained | None]:
        """Trains several policies of one group key.

        Returns:
            One for each request, with its share of the seconds; None where a training diverged.
        """

    @abstractmethod
    def prepare_group(self, payloads: Sequence[Any], workspace: Workspace) -> None:
        """Makes the files of several prerequisites of one group key; those that cannot be made are left out.

        Args:
            payloads: Payloads of the prerequisites.
            workspace: Place of the files.
        """
