"""Fixtures that several test files share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import toy_plugin

from mpobench.registry import Registry, get_registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    """What is installed."""
    return get_registry()


@pytest.fixture(scope="session")
def toys() -> Registry:
    """Toy components, which cost nothing to plan or to train."""
    return Registry.of_modules([(toy_plugin, "toys", "1.0")])


Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Writes a distribution with one plugin module as pip would leave it; returns the folder for the path."""

    def write(distribution: str, source: str, *, version: str = "1.0", module: str | None = None) -> Path:
        site = tmp_path / "site"
        module = module or distribution.replace("-", "_")
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[mpobench]\n{distribution} = {module}\n")
        return site

    return write


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def mpobench_cli() -> Run:
    """Runs the program in a process of its own, with folders in front of the import path."""

    def run(*args: str, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from mpobench.cli import main; main()", *args],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run
