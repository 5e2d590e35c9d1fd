"""The environment ``llm`` of the tiny model and a few pairs, and a cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_samples import dpo_mix

from mpobench import Workspace
from mpobench_llm.envs.hub_env import AnyModel


@pytest.fixture(scope="module")
def env(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> AnyModel:
    return AnyModel(model=str(tiny), dataset=str(dpo_mix(tmp_path_factory.mktemp("dpo-mix"))))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "cache")
