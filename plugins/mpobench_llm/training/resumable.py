"""A stage on the devices of this machine: held by one process at a time, and resumed after a stop."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpobench import DivergedError, Workspace
from mpobench.files import locks
from mpobench_llm.models.policy import Policy
from mpobench_llm.training import data_parallel, one_process
from mpobench_llm.training.stage import Stage


def carry_out(stage: Stage, workspace: Workspace, phase: str) -> tuple[Policy, dict[str, list[float]]]:
    """Trains the adapter of a stage. A stopped stage goes on from its last checkpoint; they are removed at the end.

    Args:
        stage: Stage.
        workspace: Receiver of the progress reports.
        phase: Name of the phase in the progress display.

    Returns:
        The policy, and its curves (see :func:`mpobench_llm.training.one_process.fit`).

    Raises:
        DivergedError: When the loss or the weights leave the finite numbers.
        RequestError: If the batches of an update cannot be shared out among the processes that were asked for.
    """
    count = data_parallel.process_count(stage.settings)

    def report(fraction: float) -> None:
        workspace.report(phase, fraction)

    with locks.lock(stage.folder), _without_diverged(stage.folder):
        outcome = (
            data_parallel.carry_out(stage, count, report)
            if count > 1
            else one_process.carry_out(stage, report)
        )
        shutil.rmtree(stage.folder, ignore_errors=True)
    return outcome


@contextmanager
def _without_diverged(folder: Path) -> Iterator[None]:
    """Removes the checkpoints of a training that diverges: it would diverge again."""
    try:
        yield
    except DivergedError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
