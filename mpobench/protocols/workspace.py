"""Services that a running task offers to components: a cache, progress reports, samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One answer of a policy, for a reader to look at.

    Attributes:
        prompt: Question.
        answer: Answer of the policy.
        score: Score of the answer.
    """

    prompt: str
    answer: str
    score: float


@dataclass(frozen=True)
class Workspace:
    """Services of a running task.

    Attributes:
        cache: Folder of content-keyed files that any run may share (rollouts, SFT stages). Every file in it can be
            deleted at any time between runs.
        report: Function of (phase, fraction in [0, 1] of this task's part of the phase).
        show: Function that keeps a sample with the result of an evaluation; leaderboards print the first ones.
        note: Function that shows a line to the user, on stderr; a run shows equal lines once.
    """

    cache: Path
    report: Callable[[str, float], None] = lambda phase, fraction: None
    show: Callable[[Sample], None] = lambda sample: None
    note: Callable[[str], None] = lambda line: None


@dataclass(frozen=True)
class Prerequisite:
    """A shared file that trainings wait for: a block of rollouts, an SFT stage.

    Attributes:
        key: Content key, unique per file.
        path: File or folder, relative to the workspace's cache. It exists once it is made, whole.
        phase: Name in the progress display.
        payload: Argument of :meth:`Env.prepare`, an object that pickles.
        needs: Keys of the prerequisites that have to be made before.
        cost: Expected work relative to others of its phase, for the ETA.
        group_key: Prerequisites of one environment with the same key can be made in one program
            (:meth:`~mpobench.GroupTraining.prepare_group`). Empty if this one is always made alone.
    """

    key: str
    path: str
    phase: str
    payload: Any
    needs: tuple[str, ...] = ()
    cost: float = 1.0
    group_key: str = ""
