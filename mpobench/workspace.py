"""What components share: a cache and the files in it that several trainings read, progress, samples to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sample:
    """Something that a policy did, for a reader to look at.

    Attributes:
        prompt: what it was asked.
        answer: what it answered.
        score: what that earned.
    """

    prompt: str
    answer: str
    score: float


@dataclass(frozen=True)
class Workspace:
    """Where a component may keep files, how it reports progress, and how an evaluator shows what it saw.

    Attributes:
        cache: a folder for content-keyed files that any run may share (rollouts, SFT stages). Every
            file in it can be deleted at any time between runs.
        report: called with (phase, fraction of this task's phase that is done in [0, 1]).
        show: keeps a sample with the result of an evaluation; leaderboards print the first ones.
    """

    cache: Path
    report: Callable[[str, float], None] = lambda phase, fraction: None
    show: Callable[[Sample], None] = lambda sample: None


@dataclass(frozen=True)
class Prerequisite:
    """A shared file that trainings wait for: a block of rollouts, an SFT stage.

    Attributes:
        key: content key, unique per file.
        path: of the file or folder, relative to the workspace's cache: it exists once this is made.
        phase: what the progress display calls it.
        payload: what :meth:`Env.prepare` needs to make it, as JSON.
        needs: keys of the prerequisites that this one waits for.
        cost: expected work relative to others of its phase, for the ETA.
        alike: prerequisites of one environment with the same value can be made at once
            (:meth:`~mpobench.Env.prepare_together`); empty if this one is always made alone.
    """

    key: str
    path: str
    phase: str
    payload: dict[str, Any]
    needs: tuple[str, ...] = ()
    cost: float = 1.0
    alike: str = ""
