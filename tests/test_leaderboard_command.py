"""``mpobench leaderboard``: pages that are written, checked, and refused in a line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import Result
from test_leaderboard import results_of_table_1
from typer.testing import CliRunner

from mpobench.cli.leaderboard import app
from mpobench.errors import RequestError
from mpobench.leaderboard.page import Leaderboard
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultStore, read_results


@pytest.fixture
def table_1() -> list[CellResult]:
    return results_of_table_1()


@pytest.fixture
def folder(tmp_path: Path, table_1: list[CellResult]) -> Path:
    store = ResultStore(tmp_path / "results")
    for result in table_1:
        store.save(result)
    return tmp_path / "results"


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_prints_the_leaderboard(folder: Path, table_1: list[CellResult]) -> None:
    outcome = invoke("--results", folder, "--title", "Mine")
    assert outcome.exit_code == 0
    assert outcome.stdout == Leaderboard.of(table_1).markdown(title="Mine")
    assert outcome.stderr == ""


def test_a_published_leaderboard_can_be_checked(folder: Path, tmp_path: Path) -> None:
    page, published = tmp_path / "tla.md", tmp_path / "tla.jsonl"
    files = ["--output", page, "--jsonl", published]
    assert invoke("--results", folder, *files).exit_code == 0
    assert read_results(published) == read_results(folder)
    assert invoke("--results", folder, *files, "--check").exit_code == 0
    assert invoke("--results", published, "--output", page, "--check").exit_code == 0

    honest = page.read_bytes()
    page.write_bytes(honest.replace(b"2049", b"2949"))
    outcome = invoke("--results", published, "--output", page, "--check")
    assert outcome.exit_code == 1
    first, *diff = outcome.stderr.splitlines()
    assert first == f"mpobench: {page} does not match {published}: write it again without --check"
    assert any(line.startswith("-| `sft`") and "2949" in line for line in diff)
    assert any(line.startswith("+| `sft`") and "2049" in line for line in diff)
    assert b"2949" in page.read_bytes()  # a check writes nothing

    page.write_bytes(honest.replace(b"\n", b"\r\n"))
    assert invoke("--results", published, "--output", page, "--check").exit_code == 1


def test_a_damaged_file_is_one_line_and_the_rest_is_shown(folder: Path, table_1: list[CellResult]) -> None:
    damaged = folder / "cells" / "0000.json"
    damaged.write_bytes(b'{"format": "mpobench-ce')
    outcome = invoke("--results", folder)
    assert outcome.exit_code == 1
    assert outcome.stdout == Leaderboard.of(table_1).markdown()
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr.startswith(f"mpobench: warning: {damaged} is truncated or not a result")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--results", "nowhere"], "no results at nowhere"),
        (["--results", "."], r"no results in \.: make some with `mpobench run`"),
        (["--check"], "--check needs a file to compare"),
        (["--check", "--output", "nowhere.md"], "cannot read nowhere.md: no such file or directory"),
        (["--output", "results"], "cannot write results: it is not a regular file"),
    ],
)
def test_bad_requests_are_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(folder.parent)
    outcome = invoke(*arguments)
    assert isinstance(outcome.exception, RequestError)
    assert re.search(message, str(outcome.exception))
    assert "\n" not in str(outcome.exception)


def test_the_help_teaches_by_example() -> None:
    outcome = invoke("--help")
    assert "mpobench leaderboard --output tla.md --jsonl tla.jsonl" in outcome.stdout
