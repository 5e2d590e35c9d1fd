"""Fair timing: runners take turns, so that a machine whose speed drifts slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from mpobench.running import reports

Runner = Callable[[], object]

ROUNDS = 7
"""Timings of each runner; the median counts."""


def by_turns(task: str, runners: Mapping[str, Runner]) -> dict[str, float]:
    """Median seconds of processor time of each runner; a first round, which compiles, does not count.

    Processor time, because other processes disturb it less than the wall clock. Runners use one thread.

    Args:
        task: Task of the progress reports.
        runners: Runners, by name.
    """
    report = reports.reporter([task])
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for done in range(1 + ROUNDS):
        for name, runner in runners.items():
            began = time.process_time()
            runner()
            seconds[name].append(time.process_time() - began)
        report("measuring", (done + 1) / (1 + ROUNDS))
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}
