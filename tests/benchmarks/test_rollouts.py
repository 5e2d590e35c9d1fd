"""Rollouts with the policy in the loop beside bare brax and MuJoCo's C engine, and two workers beside one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mpobench.registry.registry import get_registry
from mpobench.running.local import Local
from mpobench_mujoco.speed import physics, scaling

BUSY = 0.9


def measured(backend: str, benchmark: Any, cache: Path) -> dict[str, float]:
    """Steps a second of one worker, by turns."""
    task = get_registry().build("env", f"tla:backend={backend}").component

    def in_a_worker() -> dict[str, float]:
        with Local().open(1, lambda *_: None) as opened:
            return opened.executor.submit(physics.steps_per_second, task, 128, cache).result()

    speed: dict[str, float] = benchmark.pedantic(in_a_worker, rounds=1)
    benchmark.extra_info.update(speed)
    for name, each in speed.items():
        print(f"{backend}, {name}: {each:,.0f} steps/s ({speed['policy'] / each:.2f})")
    return speed


@pytest.mark.benchmark
@pytest.mark.slow
def test_rollouts_are_several_times_as_fast_as_brax_and_as_mujoco(benchmark: Any, tmp_path: Path) -> None:
    speed = measured("spring", benchmark, tmp_path)
    assert speed["policy"] >= 2.5 * speed["brax"]
    assert speed["policy"] >= 2.5 * speed["MuJoCo C"]


@pytest.mark.benchmark
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["positional", "generalized", "mjx"])
def test_other_backends_are_as_fast_as_brax(backend: str, benchmark: Any, tmp_path: Path) -> None:
    speed = measured(backend, benchmark, tmp_path)
    assert speed["policy"] >= 0.9 * speed["brax"]


@pytest.mark.benchmark
@pytest.mark.slow
def test_two_workers_do_nearly_twice_the_work_of_one(benchmark: Any, tmp_path: Path) -> None:
    gain, share = benchmark.pedantic(lambda: scaling.throughput(tmp_path, 2), rounds=1)
    benchmark.extra_info["throughput"] = gain
    print(f"two workers: {gain:.2f} times the throughput of one")
    if share < BUSY:
        pytest.skip(f"a worker got {share:.0%} of a core: the machine is busy with other things")
    assert gain >= 1.9
