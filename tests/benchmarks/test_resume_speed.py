"""How fast a finished run of 100,000 cells answers: plan, results, leaderboard."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from mpobench.api import run_suite
from mpobench.planning.plan import plan
from mpobench.planning.suite import Suite
from mpobench.registry.registry import Registry
from mpobench.running.records import measured

CELLS = 100_000


@pytest.mark.benchmark
def test_a_finished_run_of_100_000_cells(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "cache"))
    suite = Suite.of(
        {
            "corruptions": [*(f"noisy:{rate / 10}" for rate in range(9)), "mixed"],
            "objectives": [f"{name}:beta={beta}" for name in ("dpo", "tampo") for beta in range(1, 6)],
            "scale": "paper",
            "seeds": CELLS // 100,
            "results": tmp_path,
        }
    )
    (tmp_path / "cells").mkdir()
    for training in plan(suite, registry).trainings:
        (cell,) = training.cells
        curve = [0.123456789 * (epoch + 1 + cell.seed) for epoch in range(12)]
        curves = dict.fromkeys(("loss", "margin", "accuracy", "logp_chosen", "logp_rejected"), curve)
        metrics = {"return": 3000.0 + cell.seed, "normalised_score": 60.0 + cell.seed % 40}
        result = measured(training, cell, training.evaluators[0], metrics, curves, {"training": 63.2})
        # Written plainly: as many fsyncs are not what is measured.
        (tmp_path / "cells" / f"{cell.key}.json").write_bytes(result.to_json())
    began = time.process_time()
    done = run_suite(suite)
    assert time.process_time() - began < 20
    assert done.outcome.reused == len(done.results) == CELLS
    assert "IQM" in done.leaderboard.terminal()
    # The test's own plan and records have grown this process too.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1.5 * 2**20
