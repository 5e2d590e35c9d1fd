"""What a second worker adds: the same work on one worker process and on several."""

from __future__ import annotations

import time
from pathlib import Path

from mpobench.launchers import Local
from mpobench_mujoco import xla

ROUNDS = 20


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
    """How often several warm workers do the work of one, and the least share of a core that any of them got.

    Args:
        cache: for compiled programs.
        workers: processes at once.
    """

    def seconds(processes: int) -> tuple[float, float]:
        with Local().open(processes, lambda *_: None) as executor:
            warm = [executor.submit(train_for_a_while, cache, 1) for _ in range(processes)]
            for each in warm:
                each.result()
            began = time.perf_counter()
            tasks = [executor.submit(train_for_a_while, cache, ROUNDS) for _ in range(workers)]
            shares = [cpu / wall for wall, cpu in (task.result() for task in tasks)]
            return time.perf_counter() - began, min(shares)

    (one, alone), (many, together) = seconds(1), seconds(workers)
    return one / many, min(alone, together)
