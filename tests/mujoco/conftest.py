"""What is compiled or written once per session."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpobench import Workspace
from mpobench.registry.registry import Registry, get_registry
from mpobench_mujoco import xla
from mpobench_mujoco.env import MujocoEnv, ThreeLeggedAnt


@pytest.fixture(scope="session")
def tla(registry: Registry) -> MujocoEnv:
    env = registry.build("env", "tla").component
    assert isinstance(env, ThreeLeggedAnt)
    return env


@pytest.fixture(
    scope="session",
    params=[each.card.name for each in get_registry().cards("env") if "mujoco" in each.card.target],
)
def every_env(request, registry: Registry) -> MujocoEnv:
    """Each environment of the plugin in turn."""
    env = registry.build("env", request.param).component
    assert isinstance(env, MujocoEnv)
    return env


@pytest.fixture(scope="session")
def workspace(shared_cache: Path) -> Workspace:
    """A cache of real rollouts and compiled programs."""
    xla.configure(shared_cache)
    return Workspace(shared_cache)


@pytest.fixture(scope="session")
def invented(tmp_path_factory: pytest.TempPathFactory, workspace: Workspace) -> Workspace:
    """A cache of invented rollouts."""
    return Workspace(tmp_path_factory.mktemp("invented"))


@pytest.fixture
def fresh(tmp_path, workspace: Workspace) -> Workspace:
    """A cache with nothing in it."""
    return Workspace(tmp_path)
