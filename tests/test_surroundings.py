"""The program where people run it: without a home folder, on terminals that cannot show every character."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import run_here

from mpobench.errors import RequestError
from mpobench.files.cache import cache_folder
from mpobench.files.text import expanded

LEADERBOARD = Path(__file__).parents[1] / "leaderboards" / "tla.jsonl"


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry in the password file, as in many containers."""

    def no_entry(_: object) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME", "MPOBENCH_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    monkeypatch.setattr(pwd, "getpwnam", no_entry)


@pytest.mark.usefixtures("no_home")
def test_without_a_home_the_cache_has_to_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no home folder for ~/.cache: set MPOBENCH_CACHE to a folder"):
        cache_folder()
    monkeypatch.setenv("MPOBENCH_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(
        RequestError, match="no home folder for ~nobody-of-this-name/cache: set MPOBENCH_CACHE"
    ):
        cache_folder()
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    with pytest.raises(RequestError, match=r"no home folder for ~/mine\.txt: write the path in full"):
        expanded("~/mine.txt")


@pytest.mark.usefixtures("no_home")
@pytest.mark.parametrize(
    "command", [["run", "--objectives", "dpo", "--scale", "smoke"], ["discover"], ["bench"]]
)
def test_without_a_home_a_command_says_what_to_set(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_here(*command)
    line = "mpobench: error: there is no home folder for ~/.cache: set MPOBENCH_CACHE to a folder that can be written\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


ENCODINGS: dict[str, dict[str, str]] = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "strict latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
    "the C locale": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


COMMANDS = """
import json, sys
from mpobench.cli import main
for args in json.loads(sys.argv[1]):
    try:
        main(args)
    except SystemExit as end:
        assert not end.code, args
    print("=====")
"""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_terminal_that_lacks_a_character_gets_a_stand_in_and_files_are_utf_8(
    encoding: str, tmp_path: Path
) -> None:
    page = tmp_path / "tla.md"
    leaderboard = ["leaderboard", "--results", str(LEADERBOARD)]
    commands = [
        leaderboard,
        [*leaderboard, "--output", str(page)],
        ["objectives", "show", "simpo"],
        ["plugins"],
        ["discover", "--help"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        env={**os.environ, **ENCODINGS[encoding]},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    printed, nothing, simpo, plugins, help_, end = done.stdout.split(b"=====\n")
    shown = page.read_text(encoding="utf-8")
    number = re.search(r"\d+ ± \d+", shown)[0]
    assert number.replace("±", "+-").encode() in printed or number.encode("latin-1") in printed
    assert (nothing, end) == (b"", b"")
    assert b"target margin gamma" in simpo.replace("γ".encode(), b"gamma")
    assert b"tampo" in plugins
    assert b"Evolve an objective" in help_


def test_an_error_line_with_any_character_is_printed(
    mpobench_cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252:strict")
    done = mpobench_cli("objectives", "show", "φ≥ψ")
    assert done.returncode == 2
    assert done.stderr.startswith("mpobench: error: ")
    assert "Traceback" not in done.stderr
    assert ">=" in done.stderr
