"""Packages of plugins as users have them: on the import path as pip would leave them, or installed by pip itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]


def lay_out(project: Path, site: Path) -> None:
    """Puts a project's package onto a folder of the import path, as pip would leave it."""
    said = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    (module,) = set(said["entry-points"]["mpobench"].values())
    info = site / f"{module}-{said['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {said['name']}\nVersion: {said['version']}\n"
    )
    lines = [f"{name} = {target}" for name, target in said["entry-points"]["mpobench"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[mpobench]", *lines, ""]))
    shutil.copytree(project / module, site / module)


def own_tests(site: Path, *projects: Path) -> subprocess.CompletedProcess[str]:
    """Runs the tests of projects on what is laid out, in one process."""
    options = ("-q", "-p", "no:cacheprovider", "--import-mode", "importlib")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(str(project / "tests") for project in projects)],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def make_environment(home: Path, *projects: Path) -> Path:
    """A virtual environment with mpobench and some projects installed by pip; returns its folder of programs.

    Third-party libraries come from the running environment, whose folders are appended to the import path:
    installing jax and brax again would take minutes and prove nothing about plugins. mpobench itself does not
    come from there, since what pip has just installed stands before it on the path.
    """
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    programs = home / "bin"
    subprocess.run(
        [programs / "python", "-m", "pip", "install", "--quiet", "--no-deps", REPOSITORY, *projects],
        check=True,
    )
    (own,) = home.glob("lib/python*/site-packages")
    third_party = [folder for folder in sys.path if Path(folder).name == "site-packages"]
    (own / "third-party.pth").write_text("\n".join([*third_party, ""]))
    return programs


def in_environment(programs: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
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


def requirements_of(project: dict[str, Any], extra: str) -> set[str]:
    """Canonical names of all distributions that a project brings with one extra, or with none (``""``).

    Args:
        project: The table ``[project]`` of its pyproject.toml. What is required in turn is read from what is installed.
        extra: Name of an extra.
    """
    own, extras = canonicalize_name(project["name"]), project["optional-dependencies"]
    brought: set[tuple[str, str]] = set()
    ahead = [(own, ""), (own, extra)]
    while ahead:
        name, wanted = ahead.pop()
        if (name, wanted) in brought:
            continue
        brought.add((name, wanted))
        if name == own:
            lines = extras[wanted] if wanted else project["dependencies"]
        else:
            try:
                lines = distribution(name).requires or []
            except PackageNotFoundError:
                lines = []
        for required in map(Requirement, lines):
            if required.marker is None or required.marker.evaluate({"extra": wanted}):
                key = canonicalize_name(required.name)
                ahead += [(key, each) for each in ("", *required.extras)]
    return {name for name, _ in brought} - {own}


def lay_out_requirements(project: dict[str, Any], extra: str, folder: Path) -> None:
    """Links what a project brings with one extra, and nothing else, into a new folder of the import path."""
    folder.mkdir()
    for name in requirements_of(project, extra):
        installed = distribution(name)
        for part in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            if not (folder / part).exists():
                (folder / part).symlink_to(Path(str(installed.locate_file(part))))


def run_alone(folder: Path, *arguments: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Runs the program on one folder of the import path, without those of the running environment."""
    code = "import sys; from mpobench.cli import main; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-S", "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(folder), "MPOBENCH_CACHE": str(place / "cache")},
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
