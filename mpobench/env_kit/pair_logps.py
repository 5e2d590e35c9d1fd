"""An optional ability of environments: log-probabilities of their pairs, for pictures and fits of a loss."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from mpobench.protocols import DatasetRequest, SequenceLogps, Workspace


@runtime_checkable
class HasPairLogps(Protocol):
    """An environment that knows log-probabilities of its pairs under a cloned policy."""

    def pair_logps(
        self, request: DatasetRequest, workspace: Workspace
    ) -> tuple[SequenceLogps, SequenceLogps]:
        """Log π(τ) of both sides of a dataset's pairs under the policy at the end of the SFT stage.

        Args:
            request: Dataset. Files that it needs are made unless they are in the workspace.
            workspace: Place of the files.

        Returns:
            (chosen, rejected), numpy arrays of shape ``(pairs,)`` in nats.
        """
