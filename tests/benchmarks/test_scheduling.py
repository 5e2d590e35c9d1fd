"""What the harness costs: cells that compute nothing, ten thousand and a hundred thousand of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from noop_plugin import __file__ as noop_file
from processes import environment, program, write_distribution

from mpobench.running.scheduler import WINDOW

FEW, MANY = 10_000, 100_000
OBJECTIVES = ",".join(f"idle:beta={beta}" for beta in range(1, 11))

PEAK = """
import os, resource, sys
code = os.waitstatus_to_exitcode(os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)[1])
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Runs a program, and prints its exit code and the peak memory of the largest of its processes, in KiB."""


@dataclass(frozen=True)
class Cost:
    """Wall time of a run in seconds, and peak memory of its largest process in GiB."""

    seconds: float
    gibibytes: float


def timed(folder: Path, cells: int) -> Cost:
    site = folder / "site"
    if not site.exists():
        write_distribution(site, "noop-plugin", Path(noop_file).read_text())
    args = program("run", "--envs", "nothing", "--objectives", OBJECTIVES, "--seeds", str(cells // 10))
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *args, "--results", str(folder / str(cells)), "--workers", "2"],
        env=environment((site,), folder / "cache"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    code, peak = map(int, done.stdout.splitlines()[-1].split())
    assert code == 0
    return Cost(time.perf_counter() - began, peak / 2**20)


@pytest.mark.benchmark
@pytest.mark.timeout(1800)
def test_the_cost_of_a_cell_does_not_grow_with_their_number(tmp_path: Path) -> None:
    few, many = timed(tmp_path, FEW), timed(tmp_path, MANY)
    per_cell = [1000 * cost.seconds / cells for cost, cells in ((few, FEW), (many, MANY))]
    resumed = timed(tmp_path, MANY)
    print(
        f"\n{FEW:,} cells: {per_cell[0]:.2f} ms each; {MANY:,}: {per_cell[1]:.2f} ms each, "
        f"peak {many.gibibytes:.2f} GiB; "
        f"finished ones again, with their leaderboard: {resumed.seconds:.1f} s, peak {resumed.gibibytes:.2f} GiB; "
        f"window of {WINDOW} tasks a worker, {os.cpu_count()} cores"
    )
    assert max(per_cell) < 5
    assert abs(per_cell[1] / per_cell[0] - 1) < 0.3
    assert many.gibibytes < 1
    assert resumed.seconds < 20
