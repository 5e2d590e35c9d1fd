"""An update at the paper's size beside the matrix products that it cannot avoid, and beside plain PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mpobench.running.local import Local
from mpobench_mujoco.speed import updates


@pytest.mark.benchmark
def test_an_update_is_faster_than_pytorchs_and_near_the_products_alone(
    benchmark: Any, tmp_path: Path
) -> None:
    def in_a_worker() -> tuple[dict[str, float], float | None]:
        with Local().open(1, lambda *_: None) as opened:
            return opened.executor.submit(updates.milliseconds, tmp_path).result()

    milliseconds, distance = benchmark.pedantic(in_a_worker, rounds=1)
    benchmark.extra_info.update(milliseconds)
    ours = milliseconds["mpobench"]
    for name, each in milliseconds.items():
        print(f"{name:10} {each:6.2f} ms an update, {each / ours:4.2f} times ours")
    assert distance is not None
    assert distance < 0.1 * updates.RATE * updates.UPDATES, "they do not do the same work"
    assert milliseconds["PyTorch"] > 2 * ours
    assert ours < 1.6 * milliseconds["products"]
