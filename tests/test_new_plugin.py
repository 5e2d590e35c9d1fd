"""``mpobench new`` writes plugins that work as they stand, and ``mpobench check`` says what does not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from clean_environment import lay_out, own_tests
from command_line import Cli

from mpobench.errors import RequestError
from mpobench.registry.registry import Registry, get_registry
from mpobench.scaffold.parts import NewKind, NewPlugin, class_name
from mpobench.scaffold.write import new_plugin, next_steps

KINDS: tuple[NewKind, ...] = get_args(NewKind)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A folder with a plugin of each kind, and their import path beside it."""
    for kind in KINDS:
        plugin = NewPlugin(kind, f"my-{kind}")
        new_plugin(plugin, tmp_path / plugin.distribution, Registry.of_modules([]))
        lay_out(tmp_path / plugin.distribution, tmp_path / "site")
    return tmp_path


def test_each_kind_is_listed_and_checked(written: Path, cli: Cli) -> None:
    site = written / "site"
    listing = json.loads(cli("plugins", "--json", path=(site,)).stdout)
    assert listing["broken"] == listing["conflicts"] == []
    mine = {each["name"]: each["kind"] for each in listing["components"] if each["name"].startswith("my-")}
    assert mine == {
        "my-objective": "objective",
        "my-corruption": "corruption",
        "my-env": "env",
        "my-env-score": "evaluator",
        "my-evaluator": "evaluator",
        "my-evaluator-task": "env",
        "my-launcher": "launcher",
    }
    for kind in ("env", "evaluator"):
        done = cli("check", str(written / f"mpobench-my-{kind}"), path=(site,))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 of 2 keep their promises" in done.stdout


@pytest.mark.slow
def test_their_own_tests_pass_and_they_are_formatted(written: Path) -> None:
    projects = [written / f"mpobench-my-{kind}" for kind in KINDS]
    done = own_tests(written / "site", *projects)
    assert done.returncode == 0, done.stdout
    for project in projects:
        package = f"{project}/{project.name.replace('-', '_')}"
        lint = ("--isolated", "--select", "E4,E7,E9,F,I", "--line-length", "110")
        subprocess.run([sys.executable, "-m", "ruff", "check", *lint, package], check=True)


@pytest.mark.slow
def test_every_kind_passes_the_check(written: Path, cli: Cli) -> None:
    for kind in ("objective", "corruption", "launcher"):
        done = cli("check", f"mpobench-my-{kind}", path=(written / "site",))
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"ok      {kind} my-{kind}" in done.stdout


def test_nothing_of_the_example_is_left(written: Path) -> None:
    words = (
        "example",
        "Logistic",
        "LazyJudge",
        "lazy-judge",
        "Arms",
        "Payoff",
        '"payoff"',
        '"arms"',
        '"here"',
    )
    for project in written.glob("mpobench-*"):
        for file in project.rglob("*.*"):
            text = file.read_text() if file.is_file() else ""
            left = [word for word in words if word in text and f"{word}s=" not in text]
            assert not left, f"{file}: {left}"


def test_a_broken_promise_is_one_sentence(written: Path, cli: Cli) -> None:
    package = written / "site" / "mpobench_my_objective"
    file = package / "objective.py"
    file.write_text(file.read_text().replace('description="slope",', ""))
    done = cli("check", "mpobench-my-objective", path=(written / "site",))
    assert done.returncode == 1, done.stdout
    assert "FAILED  objective my-objective" in done.stdout
    assert "field 'beta'" in done.stdout
    assert "0 of 1 keep their promises" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_what_cannot_be_checked_is_one_line(written: Path, cli: Cli) -> None:
    site = written / "site"
    for package, said in (
        ("mpobench-no-such", "no plugin named 'mpobench-no-such' is installed: see 'mpobench plugins'"),
        (str(written), "pyproject.toml does not name a project"),
    ):
        done = cli("check", package, path=(site,))
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    (site / "mpobench_my_corruption" / "__init__.py").write_text("import nowhere\n")
    done = cli("check", "mpobench_my_corruption", path=(site,))
    assert done.returncode == 2
    assert "ModuleNotFoundError" in done.stderr


def test_a_plugin_that_is_not_installed_says_how(tmp_path: Path, cli: Cli) -> None:
    new_plugin(NewPlugin("objective", "far-away"), tmp_path / "plugin", Registry.of_modules([]))
    done = cli("check", str(tmp_path / "plugin"))
    assert done.returncode == 2
    assert f"pip install -e {tmp_path / 'plugin'}" in done.stderr


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("objective", "dpo", r"has a objective 'dpo' already|has an objective 'dpo' already"),
        ("objective", "My Loss", "is no name"),
        ("objective", "2-loss", "begins with a digit"),
        ("corruption", "x" * 41, "at most 40"),
        ("env", "../up", "is no name"),
        ("objective", "field", "the class of 'field' would be Field, a name that its file uses already"),
        ("env", "training", "would be Training, a name"),
        ("evaluator", "metric", "would be Metric, a name"),
        ("corruption", "none", "'none' would be the class None, a word of Python's"),
    ],
)
def test_names_that_are_refused(kind: NewKind, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=said):
        new_plugin(NewPlugin(kind, name), tmp_path / "plugin", get_registry())
    assert not (tmp_path / "plugin").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RequestError, match="is there already"):
        new_plugin(NewPlugin("objective", "my-loss"), tmp_path, Registry.of_modules([]))
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_says_what_is_next(tmp_path: Path, cli: Cli) -> None:
    done = cli("new", "objective", "my-loss", "--output", str(tmp_path / "plugin"))
    assert done.returncode == 0, done.stderr
    steps = next_steps(NewPlugin("objective", "my-loss"), tmp_path / "plugin")
    assert done.stdout.splitlines()[-3:] == [f"  {step}" for step in steps]
    assert (tmp_path / "plugin" / "mpobench_my_loss" / "objective.py").is_file()


@pytest.mark.parametrize(
    ("kind", "name", "classes", "texts"),
    [
        ("env", "payoff", ["Payoff", "PayoffScore"], ['"payoff"', '"payoff-score"']),
        ("evaluator", "arms", ["ArmsTask", "Arms"], ['"arms-task"', '"arms"']),
        ("objective", "logistic", ["Logistic"], ['"logistic"']),
        ("objective", "example", ["Example"], ['"example"']),
    ],
)
def test_a_new_name_may_be_one_of_the_examples(
    kind: NewKind, name: str, classes: list[str], texts: list[str], tmp_path: Path
) -> None:
    plugin = NewPlugin(kind, name)
    new_plugin(plugin, tmp_path, Registry.of_modules([]))
    package = tmp_path / plugin.module
    defined = [
        re.findall(r"^class (\w+)\((?!Settings)", (package / f"{each}.py").read_text(), re.M)
        for each in plugin.names
    ]
    assert defined == [[each] for each in classes]
    hooks = (package / "__init__.py").read_text()
    assert re.findall(r"name=(.*),", hooks) == texts
    targets = [f"{plugin.module}.{each}:{own}" for each, own in zip(plugin.names, classes, strict=True)]
    assert re.findall(r'target="(.*)"', hooks) == targets


@pytest.mark.parametrize(("name", "expected"), [("my-loss", "MyLoss"), ("a.b_c2", "ABC2"), ("x", "X")])
def test_class_names(name: str, expected: str) -> None:
    assert class_name(name) == expected
