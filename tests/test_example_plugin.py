"""The example plugin: what a stranger writes, through the same door as everything else."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mpobench.results import ResultStore

REPOSITORY = Path(__file__).parents[1]
EXAMPLE = REPOSITORY / "plugins" / "example"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for the import path with the example as pip would leave it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"mpobench_example-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    plugins = project["entry-points"]["mpobench"]
    lines = [f"{name} = {module}" for name, module in plugins.items()]
    (info / "entry_points.txt").write_text("\n".join(["[mpobench]", *lines, ""]))
    shutil.copytree(EXAMPLE / "mpobench_example", tmp_path / "mpobench_example")
    return tmp_path


def test_its_components_are_listed_and_resolve(site: Path, mpobench_cli: Any) -> None:
    listing = json.loads(mpobench_cli("plugins", "--json", path=(site,)).stdout)
    found = {
        each["name"]: (each["kind"], each["version"])
        for each in listing["components"]
        if each["distribution"] == "mpobench-example"
    }
    assert found == {"logistic": ("objective", "0.1.0"), "lazy-judge": ("corruption", "0.1.0")}
    assert "slope" in mpobench_cli("objectives", "show", "logistic", path=(site,)).stdout
    assert "lazy-judge:VALUE" in mpobench_cli("corruptions", "show", "lazy-judge", path=(site,)).stdout


def test_its_own_tests_pass(site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests")],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with mpobench and the example installed by pip; returns its folder of programs.

    Third-party libraries come from the running environment, whose folder is appended to the import path:
    installing jax and brax again would take minutes and prove nothing about plugins. mpobench itself does not
    come from there, since what pip has just installed stands before it on the path.
    """
    home = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    programs = home / "bin"
    subprocess.run(
        [programs / "python", "-m", "pip", "install", "--quiet", "--no-deps", REPOSITORY, EXAMPLE], check=True
    )
    (own,) = home.glob("lib/python*/site-packages")
    (own / "third-party.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


def in_clean_environment(programs: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of the environment, away from the checkout."""
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [programs / command[0], *command[1:]],
        capture_output=True,
        text=True,
        check=False,
        cwd=programs,
        env=inherited | variables,
    )


@pytest.mark.slow
def test_pip_install_makes_it_available(clean_environment: Path) -> None:
    listing = json.loads(in_clean_environment(clean_environment, "mpobench", "plugins", "--json").stdout)
    assert listing["broken"] == []
    assert {"logistic", "lazy-judge", "dpo", "noisy"} <= {each["name"] for each in listing["components"]}
    where = in_clean_environment(
        clean_environment, "python", "-c", "import mpobench; print(mpobench.__file__)"
    )
    assert Path(where.stdout).is_relative_to(clean_environment.parent)


@pytest.mark.slow
def test_its_row_is_in_a_leaderboard(clean_environment: Path, shared_cache: Path, tmp_path: Path) -> None:
    done = in_clean_environment(
        clean_environment,
        *("mpobench", "run", "--objectives", "logistic,dpo", "--corruptions", "lazy-judge:0.5"),
        *("--scale", "smoke", "--results", str(tmp_path / "results")),
        MPOBENCH_CACHE=str(shared_cache),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^objective +lazy-judge:0\.5$", done.stdout, re.M)
    rows = dict(re.findall(r"^(\w+) +\D*(-?[\d.]+)\D*$", done.stdout, re.M))
    assert rows.keys() >= {"logistic", "dpo"}
    assert "mpobench-example 0.1.0" in done.stdout
    results = {result.objective: result for result in ResultStore(tmp_path / "results").load_all()}
    assert {name: result.plugin for name, result in results.items()} == {
        "logistic": "mpobench-example 0.1.0",
        "dpo": "mpobench 0.1.0",
    }
    for result in results.values():
        assert result.status == "ok"
        assert math.isfinite(result.metrics["return"])
        assert all(math.isfinite(loss) for loss in result.curves["loss"])
