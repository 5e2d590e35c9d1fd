"""Fixtures that several test files share."""

from __future__ import annotations

import functools
import gc
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bandit_plugin
import faulty_plugin
import hypothesis
import pytest
import toy_plugin
from bench import Bench
from command_line import Cli, run_here
from lab import Lab
from objective_file_samples import one_step
from processes import Install, Run, environment, program, write_distribution

import mpobench_corruptions.hooks
import mpobench_objectives.hooks
from mpobench import save_objective
from mpobench.registry.registry import Registry, get_registry

# Tests run in as many processes as there are cores: OpenMP's threads of each would wait for those of the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("mpobench", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("mpobench")


PATIENCE = 20.0
"""Seconds of processor time for a test that is not marked slow: ten, and as many for what it compiles first."""


def pytest_collection_finish() -> None:
    """Keeps the garbage collector off what was imported: trainers collect at the end of each training."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fails a test that takes long and is not marked slow."""
    before = os.times()
    yield
    used = sum(os.times()[:4]) - sum(before[:4])
    if used > PATIENCE and not any(item.iter_markers("slow")) and not any(item.iter_markers("benchmark")):
        pytest.fail(f"it took {used:.0f} s of processor time: mark it slow, or make it quick")


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


@pytest.fixture
def lab(tmp_path: Path, bandits: Registry) -> Lab:
    return Lab(tmp_path, bandits)


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


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Installs a distribution of one plugin module; returns the folder for the import path."""

    def write(distribution: str, source: str, *, version: str = "1.0", module: str | None = None) -> Path:
        site = tmp_path / "site"
        write_distribution(site, distribution, source, version, module)
        return site

    return write


@pytest.fixture
def mpobench_cli(shared_cache: Path) -> Run:
    """Runs the program in a process of its own, with folders in front of the import path."""

    def run(
        *args: str, path: tuple[Path, ...] = (), cache: Path = shared_cache
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            program(*args),
            env=environment(path, cache),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def cli(shared_cache: Path) -> Cli:
    """Runs the program in this process, with folders in front of the import path."""
    return functools.partial(run_here, cache=shared_cache)


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """An objective file: 1s-mpo with λ = 2, named ``found``."""
    path = tmp_path / "found" / "objective.json"
    save_objective(
        path,
        one_step(lam=2.0),
        "1s-mpo",
        name="found",
        summary="Found on noisy labels",
        citation="A run of ours",
        provenance={"generations": 256, "env": "tla"},
    )
    return path


@pytest.fixture
def bench(tmp_path: Path, bandit_site: Path) -> Bench:
    """A folder in which the program runs, with the bandit plugins installed."""
    return Bench(tmp_path, bandit_site)
