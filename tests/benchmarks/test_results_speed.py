"""How fast results are read: a leaderboard of 10,000 cells should not keep anyone waiting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mpobench.leaderboard.page import Leaderboard
from mpobench.results.cell_result import CellResult
from mpobench.results.store import jsonl, read_results

CELLS = 10_000
EPOCHS = 12


def cell(i: int) -> CellResult:
    """A result as large as a real one: twelve epochs of six curves, a configuration, versions."""
    seed, column, row = i % 25, i // 25 % 10, i // 250
    curve = [0.123456789 * (epoch + 1 + seed) for epoch in range(EPOCHS)]
    return CellResult(
        key=f"{i:024x}",
        training_key=f"{i + 1:024x}",
        dataset_key=f"{i + 2:024x}",
        env="tla",
        corruption=f"noisy:{column / 10}" if column else "base",
        objective=f"dpo:beta={row / 10}",
        evaluator="return",
        seed=seed,
        scale="paper",
        origin="human",
        plugin="mpobench 0.1.0",
        status="ok",
        metrics={"return": 3000.0 + row * 10 - column * 50 + seed, "normalised_score": 60.0 + row + seed},
        primary="return",
        unit="return",
        curves={
            **dict.fromkeys(["loss", "margin", "accuracy", "logp_chosen", "logp_rejected"], curve),
            "stage": ["sft"] * 10 + ["po"] * 2,
        },
        seconds={"rollouts": 20.1, "training": 63.2, "evaluation": 9.9},
        config={
            part: {f"field_{j}": j * 0.1 for j in range(10)} for part in ("env", "training", "evaluation")
        },
        versions={"mpobench": "0.1.0", "jax": "0.9.2", "brax": "0.14.2", "numpy": "2.4.0"},
    )


@pytest.fixture(scope="module")
def results() -> list[CellResult]:
    return [cell(i) for i in range(CELLS)]


@pytest.fixture(scope="module")
def folder(results: list[CellResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder; written plainly, because ten thousand fsyncs are not what is measured."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "cells").mkdir()
    for result in results:
        (folder / "cells" / f"{result.key}.json").write_bytes(result.to_json())
    return folder


@pytest.mark.benchmark
def test_reading_a_folder_of_10_000_results(benchmark: Any, folder: Path) -> None:
    found = benchmark.pedantic(read_results, args=(folder,), rounds=5, warmup_rounds=1)
    assert len(found) == CELLS
    assert benchmark.stats["min"] < 2.0  # about half a second on a free core


@pytest.mark.benchmark
def test_reading_10_000_published_results(benchmark: Any, results: list[CellResult], tmp_path: Path) -> None:
    path = tmp_path / "published.jsonl"
    path.write_bytes(jsonl(results))
    found = benchmark.pedantic(read_results, args=(path,), rounds=5, warmup_rounds=1)
    assert len(found) == CELLS
    assert benchmark.stats["min"] < 2.0


@pytest.mark.benchmark
def test_a_leaderboard_of_10_000_results(benchmark: Any, results: list[CellResult]) -> None:
    page = benchmark.pedantic(lambda: Leaderboard.of(results).markdown(), rounds=3, warmup_rounds=1)
    assert page.count("dpo:beta=") >= CELLS // 250
    assert benchmark.stats["min"] < 10.0
