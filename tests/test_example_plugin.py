"""The example plugin: what a stranger writes, through the same door as everything else."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from clean_environment import REPOSITORY, in_environment, lay_out, make_environment, own_tests
from command_line import Cli

from mpobench.results.store import ResultStore

EXAMPLE = REPOSITORY / "mpobench" / "scaffold" / "example"

COMPONENTS = {
    "objective": "logistic",
    "corruption": "lazy-judge",
    "env": "arms",
    "evaluator": "payoff",
    "launcher": "here",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for the import path with the example as pip would leave it."""
    lay_out(EXAMPLE, tmp_path)
    return tmp_path


def test_its_components_are_listed_and_resolve(site: Path, cli: Cli) -> None:
    listing = json.loads(cli("plugins", "--json", path=(site,)).stdout)
    found = {
        each["name"]: (each["kind"], each["version"])
        for each in listing["components"]
        if each["distribution"] == "mpobench-example"
    }
    assert found == {name: (kind, "0.1.0") for kind, name in COMPONENTS.items()}
    assert "slope" in cli("objectives", "show", "logistic", path=(site,)).stdout
    assert "lazy-judge:VALUE" in cli("corruptions", "show", "lazy-judge", path=(site,)).stdout


def test_its_environment_is_as_short_as_promised() -> None:
    source = (EXAMPLE / "mpobench_example" / "env.py").read_text()
    assert sum(bool(line.strip()) for line in source.splitlines()) <= 60


@pytest.mark.slow
def test_its_own_tests_pass(site: Path) -> None:
    done = own_tests(site, EXAMPLE)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a virtual environment with mpobench and the example installed by pip."""
    return make_environment(tmp_path_factory.mktemp("clean"), EXAMPLE)


@pytest.mark.slow
def test_pip_install_makes_it_available(clean_environment: Path) -> None:
    listing = json.loads(in_environment(clean_environment, "mpobench", "plugins", "--json").stdout)
    assert listing["broken"] == []
    assert {*COMPONENTS.values(), "dpo", "noisy"} <= {each["name"] for each in listing["components"]}
    where = in_environment(clean_environment, "python", "-c", "import mpobench; print(mpobench.__file__)")
    assert Path(where.stdout).is_relative_to(clean_environment.parent)


@pytest.mark.slow
def test_its_row_is_in_a_leaderboard(clean_environment: Path, shared_cache: Path, tmp_path: Path) -> None:
    done = in_environment(
        clean_environment,
        *("mpobench", "run", "--objectives", "logistic,sft", "--corruptions", "lazy-judge:0.5"),
        *("--scale", "smoke", "--results", str(tmp_path / "results")),
        MPOBENCH_CACHE=str(shared_cache),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^objective +lazy-judge:0\.5$", done.stdout, re.M)
    rows = dict(re.findall(r"^(\w+) +\D*(-?[\d.]+)\D*$", done.stdout, re.M))
    assert rows.keys() >= {"logistic", "sft"}
    assert "mpobench-example 0.1.0" in done.stdout
    results = {result.objective: result for result in ResultStore(tmp_path / "results").load_all()}
    assert {name: result.plugin for name, result in results.items()} == {
        "logistic": "mpobench-example 0.1.0",
        "sft": "mpobench 0.1.0",
    }
    for result in results.values():
        assert result.status == "ok"
        assert math.isfinite(result.metrics["return"])
        assert all(math.isfinite(loss) for loss in result.curves["loss"])


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local", "here"])
def test_a_run_on_its_environment_needs_no_jax(
    launcher: str, clean_environment: Path, tmp_path: Path
) -> None:
    for library in ("jax", "torch"):  # in front of the real ones
        (tmp_path / "forbidden").mkdir(exist_ok=True)
        (tmp_path / "forbidden" / f"{library}.py").write_text("raise ImportError('imported without need')\n")
    done = in_environment(
        clean_environment,
        *(
            "mpobench",
            "run",
            "--envs",
            "arms",
            "--objectives",
            "sft,logistic,dpo",
            "--corruptions",
            "lazy-judge:0.2",
        ),
        *("--scale", "smoke", "--launcher", launcher, "--results", str(tmp_path / "results")),
        PYTHONPATH=str(tmp_path / "forbidden"),
        MPOBENCH_CACHE=str(tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stderr
    results = ResultStore(tmp_path / "results").load_all()
    assert {result.objective for result in results if result.status == "ok"} == {"sft", "logistic", "dpo"}
    assert all(0 <= result.metrics["payoff"] <= 1 for result in results)
