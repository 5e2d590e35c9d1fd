"""The throughput of dask's workers on this machine beside that of the local launcher's."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

from mpobench.running.local import Local
from mpobench_dask.launcher import Dask
from mpobench_mujoco.speed.scaling import train_for_a_while

WORKERS, TASKS, TURNS, ROUNDS = 2, 6, 5, 10
NO_OPS = 100


def seconds(executor: Executor, tasks: int, *call: Any) -> float:
    began = time.perf_counter()
    futures = [executor.submit(*call) for _ in range(tasks)]
    for future in futures:
        future.result()
    return time.perf_counter() - began


@pytest.mark.benchmark
def test_dask_trains_as_much_as_the_local_launcher(tmp_path: Path) -> None:
    """By turns on warm workers, so that a machine whose speed drifts slows both alike."""
    launchers = {"local": Local(), "dask": Dask(gpus=0)}
    with (
        launchers["local"].open(WORKERS, lambda *_: None) as local,
        launchers["dask"].open(WORKERS, lambda *_: None) as dask,
    ):
        executors = {"local": local.executor, "dask": dask.executor}
        for executor in executors.values():
            seconds(executor, WORKERS, train_for_a_while, tmp_path, 1)  # compiles
        turns = [
            {
                name: seconds(executor, TASKS, train_for_a_while, tmp_path, ROUNDS)
                for name, executor in executors.items()
            }
            for _ in range(TURNS)
        ]
        overhead = {name: seconds(executor, NO_OPS, abs, 1) / NO_OPS for name, executor in executors.items()}
    ratios = [turn["local"] / turn["dask"] for turn in turns]
    for name in executors:
        middle = statistics.median(turn[name] for turn in turns)
        print(
            f"{name:5}  {TASKS / middle:5.2f} tasks/s of {WORKERS} workers, no-op {1e3 * overhead[name]:5.2f} ms"
        )
    print(
        f"dask's throughput is {statistics.median(ratios):.3f} of local's (turns: {min(ratios):.3f}–{max(ratios):.3f})"
    )
    assert statistics.median(ratios) >= 0.9
