"""Scores of members: measured by a launcher's workers, and noted in the journal as they come in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from mpobench import MpobenchError, Workers
from mpobench.running.runner import ask_group_size
from mpobench.running.scheduler import Scheduler, Task
from mpobench.running.worker import Failure
from mpobench_discovery.folder import Folder
from mpobench_discovery.members import Member, Score, scores


class Report(Protocol):
    """A display of the scores that come in."""

    def scored(self, members: int, resumed: int = 0) -> None:
        """Shows how many members have their score; ``resumed`` of them were scored before this run."""

    def note(self, line: str) -> None:
        """Shows a line."""


def measure(
    members: Sequence[Member],
    known: dict[int, Score],
    folder: Folder,
    workers: Workers,
    cache: Path,
    report: Report,
) -> list[Score]:
    """The score of each member: the known one, or measured and noted in the journal.

    Args:
        members: Members of one generation.
        known: Scores that the journal has of them, by member.
        folder: Folder with the journal.
        workers: Workers that train and score members.
        cache: Folder that runs share.
        report: Display.

    Raises:
        MpobenchError: If a member cannot be computed; scores that came in are kept.
    """
    measured, told = dict(known), set[str]()
    report.scored(len(measured), len(measured))

    def take(task: str, result: Any) -> None:
        if isinstance(result, Failure):
            raise MpobenchError(f"a member cannot be computed: {result.reason}; what was computed is kept")
        for line in result.notes:
            if line not in told:
                told.add(line)
                report.note(line)
        for score in result.scores:
            folder.note(score)
            measured[score.index] = score
        report.scored(len(measured))

    tasks = _tasks([member for member in members if member.index not in measured], workers, cache)
    Scheduler(workers, take, report.note).run(tasks)
    return [measured[member.index] for member in members]


def _tasks(members: list[Member], workers: Workers, cache: Path) -> list[Task]:
    """Tasks of a worker: groups of the preferred size, or smaller ones where a worker would idle."""
    tasks: list[Task] = []
    preferred = ask_group_size(workers, members[0].training.env) if members else 1
    for _, same_training in itertools.groupby(members, lambda member: member.training.key):
        group = list(same_training)
        size = min(preferred, math.ceil(len(group) / max(workers.count(), 1)))
        tasks += (_task(group[first : first + size], cache) for first in range(0, len(group), size))
    return tasks


def _task(group: Sequence[Member], cache: Path) -> Task:
    call = scores, (group, cache)
    return Task(f"members from {group[0].index}", lambda: call)
