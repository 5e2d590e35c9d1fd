"""Fixtures that several test files share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bandit_plugin
import faulty_plugin
import pytest
import toy_plugin

import mpobench_corruptions.hooks
import mpobench_objectives.hooks
from mpobench.registry import Registry, get_registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    """What is installed."""
    return get_registry()


@pytest.fixture(scope="session")
def toys() -> Registry:
    """Toy components, which cost nothing to plan or to train."""
    return Registry.of_modules([(toy_plugin, "toys", "1.0")])


@pytest.fixture(scope="session")
def bandits() -> Registry:
    """A benchmark that learns in milliseconds, faults of all kinds, and the published objectives and corruptions."""
    modules = (bandit_plugin, faulty_plugin, mpobench_objectives.hooks, mpobench_corruptions.hooks)
    return Registry.of_modules([(module, module.__name__, "1.0") for module in modules])


@pytest.fixture(scope="session")
def bandit_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the import path on which the same two plugins are installed."""
    site = tmp_path_factory.mktemp("bandits")
    for module in (bandit_plugin, faulty_plugin):
        write_distribution(site, module.__name__.replace("_", "-"), Path(module.__file__ or "").read_text())
    return site


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rollouts and compiled programs of all real runs in this session, those of parallel test workers included."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "mpobench-cache"


def write_distribution(
    site: Path, distribution: str, source: str, version: str = "1.0", module: str | None = None
) -> None:
    """Writes a distribution with one plugin module as pip would leave it."""
    module = module or distribution.replace("-", "_")
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (site / f"{module}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[mpobench]\n{distribution} = {module}\n")


Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Installs a distribution of one plugin module; returns the folder for the import path."""

    def write(distribution: str, source: str, *, version: str = "1.0", module: str | None = None) -> Path:
        site = tmp_path / "site"
        write_distribution(site, distribution, source, version, module)
        return site

    return write


def program(*args: str) -> list[str]:
    """The command line of the program, in a process of its own."""
    return [sys.executable, "-c", "from mpobench.cli import main; main()", *args]


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def mpobench_cli(shared_cache: Path) -> Run:
    """Runs the program in a process of its own, with folders in front of the import path."""

    def run(
        *args: str, path: tuple[Path, ...] = (), cache: Path = shared_cache, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            program(*args),
            env=environment(path, cache),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    return run


def environment(path: tuple[Path, ...], cache: Path) -> dict[str, str]:
    """Variables of a process that finds plugins on ``path`` and keeps what runs share in ``cache``."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "MPOBENCH_CACHE": str(cache)}
