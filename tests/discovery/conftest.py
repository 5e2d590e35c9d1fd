"""Commands of discovery in this process, with the bandit among what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bandit_plugin
import faulty_plugin
import in_process
import pytest
from processes import Run

import mpobench_corruptions.hooks
import mpobench_discovery.hooks
import mpobench_mujoco.hooks
import mpobench_objectives.hooks
from mpobench.registry.registry import Registry


@pytest.fixture(scope="session")
def searchable() -> Registry:
    """What a search on the bandit needs, and a launcher that stays in this process."""
    modules = (
        bandit_plugin,
        faulty_plugin,
        in_process,
        mpobench_corruptions.hooks,
        mpobench_discovery.hooks,
        mpobench_mujoco.hooks,
        mpobench_objectives.hooks,
    )
    return Registry.of_modules([(module, module.__name__, "1.0") for module in modules])


@pytest.fixture
def invoke(searchable: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs the program in this process, with the bandit installed and a cache of the test's own."""
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "cache"))
    with in_process.installed(searchable):
        yield in_process.invoke
