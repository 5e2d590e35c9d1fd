"""Shared files that trainings wait for, made by workers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mpobench.display.progress import Display
from mpobench.errors import MpobenchError
from mpobench.planning.cells import Training
from mpobench.protocols import Env, Prerequisite, Workers
from mpobench.running import worker
from mpobench.running.preparation import missing_prerequisites
from mpobench.running.scheduler import Scheduler, Task
from mpobench.running.worker import Failure


def prerequisite_task(
    env: Env, prerequisite: Prerequisite, cache: Path, locality: str, after: tuple[str, ...] = ()
) -> Task:
    """The task that makes a shared file."""
    call = worker.make_prerequisite, (env, prerequisite, cache)
    return Task(prerequisite.key, lambda: call, prerequisite.needs, after, locality)


def make_prerequisites(trainings: Iterable[Training], workers: Workers, cache: Path) -> None:
    """Makes the shared files of trainings, with a progress display. Those that diverge are left out.

    Raises:
        MpobenchError: If one cannot be made.
    """
    tasks: dict[str, Task] = {}
    phases: dict[str, dict[str, float]] = {}
    for training in trainings:
        for each in missing_prerequisites(training.env, training.request, cache):
            tasks[each.key] = prerequisite_task(training.env, each, cache, training.request.dataset.key)
            phases.setdefault(each.phase, {})[each.key] = each.cost
    phase_of = {key: phase for phase, costs in phases.items() for key in costs}

    def finished(key: str, result: Any) -> None:
        if isinstance(result, Failure) and result.status != "diverged":
            raise MpobenchError(f"a shared file cannot be made: {result.reason}")
        display.finish(key, (phase_of[key],))

    with Display(phases) as display:
        for key, phase in phase_of.items():
            display.update(key, phase, 0.0)
        Scheduler(workers, finished, display.note).run(tasks.values())
