"""A training with all that it needs, in one process."""

from __future__ import annotations

from pathlib import Path

from mpobench.protocols import Env, Prerequisite, Trained, TrainingRequest, Workspace


def missing_prerequisites(env: Env, request: TrainingRequest, cache: Path) -> list[Prerequisite]:
    """The prerequisites of a training whose files are not there."""
    return [each for each in env.prerequisites(request) if not (cache / each.path).exists()]


def prepare(env: Env, request: TrainingRequest, workspace: Workspace) -> None:
    """Makes the shared files that a training needs, unless they are there."""
    for needed in missing_prerequisites(env, request, workspace.cache):
        env.prepare(needed.payload, workspace)


def prepare_and_train(env: Env, request: TrainingRequest, workspace: Workspace) -> Trained:
    """Trains a policy in this process; the shared files that it needs are made unless they are there.

    Raises:
        DivergedError: When the training leaves the finite numbers.
    """
    prepare(env, request, workspace)
    return env.train(request, workspace)
