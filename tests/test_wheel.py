"""The wheel: all of its files, its metadata, and the program with nothing but what one extra brings."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from clean_environment import lay_out_requirements, requirements_of, run_alone

import mpobench

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
EXTRAS = sorted(PROJECT["optional-dependencies"])

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True)
    (built,) = folder.iterdir()
    return built


def head(wheel: Path) -> Message:
    """The wheel's METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_wheel_has_every_file_of_its_packages_and_nothing_else(wheel: Path) -> None:
    packages = [
        ROOT / package for package in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    ]
    expected = {
        path.relative_to(package.parent).as_posix()
        for package in packages
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        built = {name for name in archive.namelist() if ".dist-info/" not in name}
        constraints = archive.read("mpobench/constraints.txt").decode()
    assert built == expected | {"mpobench/constraints.txt"}
    assert constraints == (ROOT / "constraints.txt").read_text()
    for kind in (
        "mpobench/py.typed",
        "mpobench/scaffold/example/pyproject.toml",
        r"mpobench/comparison/paper/\S+\.csv",
        r"mpobench_mujoco/agents/tla-spring/\S+\.safetensors",
        r"mpobench_mujoco/tla\.toml",
        r"mpobench_discovery/found/\S+\.json",
        r"mpobench_discovery/template/\S+\.in",
        r"mpobench_site/assets/\S+\.js",
        r"mpobench_site/templates/\S+\.html",
    ):
        assert any(re.fullmatch(kind, name) for name in built), kind


def test_wheel_states_extras_pythons_plugins_and_licence(wheel: Path) -> None:
    stated = head(wheel)
    assert sorted(stated.get_all("Provides-Extra", [])) == EXTRAS
    assert stated["Requires-Python"] == PROJECT["requires-python"]
    assert stated["Version"] == mpobench.__version__
    assert stated["License-Expression"] == "Apache-2.0"
    assert stated.get_all("Classifier") == sorted(PROJECT["classifiers"])
    assert "docs/pictures/scores.png" in str(stated.get_payload()), "README.md is the description"
    with zipfile.ZipFile(wheel) as archive:
        (points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        text = archive.read(points).decode()
    for name, module in PROJECT["entry-points"]["mpobench"].items():
        assert f"{name} = {module}\n" in text


WORK = {
    "plots": "plot loss dpo simpo --output loss.svg",
    "data": "export {root}/leaderboards/quick.jsonl --output cells.parquet",
    "site": "site {root}/leaderboards/quick.jsonl --output site --no-rollouts",
    "llm": "run --envs llm:model=model,dataset=pairs --objectives sft --scale smoke --seeds 1 --results policies",
    "cluster": "run --objectives sft --scale smoke --launcher dask --workers 1 --results cells",
}
"""A command that needs an extra, in a folder with a small language model and preference pairs."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tests" / "llm")
        from hub_samples import dpo_mix, tiny_model

        dpo_mix(folder / "pairs")
        tiny_model(folder / "model")
    return folder


@pytest.fixture(params=["", *WORK])
def alone(request: pytest.FixtureRequest, wheel: Path, tmp_path: Path) -> tuple[str, Path]:
    """An extra, and a folder with the wheel's content and what it and the extra require, for an import path."""
    folder = tmp_path / "site-packages"
    lay_out_requirements(PROJECT, request.param, folder)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return request.param, folder


def test_each_extra_alone_does_its_work(alone: tuple[str, Path], place: Path) -> None:
    extra, folder = alone
    brought = requirements_of(PROJECT, extra)
    for needed, command in WORK.items():
        done = run_alone(folder, *command.format(root=ROOT).split(), place=place)
        said = done.stdout + done.stderr
        assert "Traceback" not in said
        if not requirements_of(PROJECT, needed) <= brought:
            assert done.returncode != 0, said
            assert f"mpobench[{needed}]" in said, said
        else:
            assert done.returncode == 0, said
    listed = run_alone(folder, "plugins", place=place)
    assert listed.returncode == 0, listed.stderr
    assert "smollm-style" in listed.stdout, "listing imports nothing of an extra"
