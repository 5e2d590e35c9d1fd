"""What ``--help`` and the example say of themselves is so."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest
from clean_environment import REPOSITORY
from in_process import invoke

from mpobench.registry.loading import HOOKS
from mpobench.registry.registry import get_registry


def test_the_help_of_log_names_every_tracker() -> None:
    shown = invoke("run", "--help").stdout
    for tracker in get_registry().cards("tracker"):
        assert tracker.card.name in shown[shown.index("--log") :]


@pytest.mark.parametrize(
    ("module", "function", "command"),
    [
        ("mpobench.cli.run", "run", ("run",)),
        ("mpobench.cli.leaderboard", "leaderboard", ("leaderboard",)),
        ("mpobench.cli.compare", "compare_command", ("compare",)),
        ("mpobench.cli.tune", "tune", ("tune",)),
        ("mpobench_mujoco.commands", "train", ("agents", "train")),
        ("mpobench_mujoco.commands", "measure", ("agents", "measure")),
        ("mpobench_mujoco.commands", "show", ("agents", "show")),
    ],
)
def test_examples_are_whole_lines_of_the_help(
    module: str, function: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    docstring = inspect.getdoc(getattr(importlib.import_module(module), function)) or ""
    examples = re.findall(r"^  +(mpobench .*)$", docstring, re.M)
    assert examples
    shown = invoke(*command, "--help").stdout
    assert {line.strip() for line in shown.splitlines()} >= set(examples)
    assert "│" not in shown


@pytest.mark.parametrize("file", ["README.md", "pyproject.toml", "mpobench_example/__init__.py"])
def test_the_example_names_the_kinds_that_it_has(file: str) -> None:
    example = REPOSITORY / "mpobench" / "scaffold" / "example"
    hooks = re.findall(r"^def (\w+)\(", (example / "mpobench_example" / "__init__.py").read_text(), re.M)
    kinds = {HOOKS[hook].__name__.removesuffix("Card").lower() for hook in hooks}
    text = (example / file).read_text()
    described = re.search(r"\w+ plugin(?: of mpobench)?: (.*)", text)
    assert described
    named = described[1].replace("environment", "env")
    assert {kind for kind in map(str.lower, re.findall(r"\w+", named)) if kind in _KINDS} == kinds


_KINDS = {card.__name__.removesuffix("Card").lower() for card in HOOKS.values()}
