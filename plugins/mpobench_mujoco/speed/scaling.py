"""What a second worker adds: the same work on one worker process and on several."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from mpobench.protocols import Report
from mpobench.running.local import Local
from mpobench_mujoco import xla

TURNS, ROUNDS = 9, 10
"""Turns of each, and rounds of fifty updates in a task."""


def train_for_a_while(cache: Path, rounds: int) -> tuple[float, float]:
    """Rounds of the compiled update: seconds on the wall clock, and of processor time."""
    xla.configure(cache)
    from mpobench_mujoco.speed.updates import our_updates

    updates = our_updates()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(rounds):
        updates()
    return time.perf_counter() - wall, time.process_time() - cpu


def throughput(cache: Path, workers: int) -> tuple[float, float]:
    """How often several warm workers do the work of one, and the share of a core that the worst off of them got.

    One and several take turns, so that a machine whose speed drifts slows both alike: medians count.

    Args:
        cache: Folder of compiled programs.
        workers: Number of worker processes.
    """
    with Local().open(1, _ignore) as one, Local().open(workers, _ignore) as many:
        for opened, processes in ((one, 1), (many, workers)):
            _side_by_side(opened.executor, cache, processes, 1)  # compiles
        turns = [
            (
                _side_by_side(one.executor, cache, workers, ROUNDS),
                _side_by_side(many.executor, cache, workers, ROUNDS),
            )
            for _ in range(TURNS)
        ]
    gains = [of_one.seconds / of_many.seconds for of_one, of_many in turns]
    return statistics.median(gains), statistics.median(each.share for turn in turns for each in turn)


@dataclass(frozen=True)
class _Turn:
    """Seconds on the wall clock, and the share of a core that the worst off worker got."""

    seconds: float
    share: float


def _ignore(report: Report) -> None:
    """No progress display: turns are short."""


def _side_by_side(executor: Executor, cache: Path, tasks: int, rounds: int) -> _Turn:
    began = time.perf_counter()
    futures = [executor.submit(train_for_a_while, cache, rounds) for _ in range(tasks)]
    shares = [cpu / wall for wall, cpu in (future.result() for future in futures)]
    return _Turn(time.perf_counter() - began, min(shares))
