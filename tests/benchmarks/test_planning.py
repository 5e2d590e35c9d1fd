"""How fast a run is planned: nobody waits for 100,000 cells."""

from __future__ import annotations

from typing import Any

import pytest

from mpobench.planning.plan import plan
from mpobench.planning.suite import Suite
from mpobench.registry.registry import Registry

CELLS = 100_000


@pytest.mark.benchmark
def test_a_plan_of_100_000_cells(benchmark: Any, registry: Registry) -> None:
    suite = Suite.of(
        {
            "corruptions": [*(f"noisy:{rate / 10}" for rate in range(9)), "mixed"],
            "objectives": [f"{name}:beta={beta}" for name in ("dpo", "tampo") for beta in range(1, 6)],
            "scale": "paper",
            "seeds": 1000,
        }
    )
    planned = benchmark.pedantic(plan, args=(suite, registry), rounds=3)
    assert len(planned.cells) == len(planned.trainings) == CELLS
    assert len({cell.key for cell in planned.cells}) == CELLS
    assert benchmark.stats["min"] < 20
