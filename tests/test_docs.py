"""What the documentation says works: its commands, its code, its figures."""

from __future__ import annotations

import inspect
import os
import re
import runpy
import shutil
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest
from in_process import invoke

from mpobench.leaderboard.page import Leaderboard
from mpobench.planning.suite import Suite
from mpobench.planning.tuned_file import TunedEntry, TunedFile
from mpobench.registry import hookspecs
from mpobench.registry.loading import HOOKS
from mpobench.registry.registry import Registry
from mpobench.results.store import read_results

ROOT = Path(__file__).parents[1]
PAGES = [
    str(path.relative_to(ROOT))
    for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
]
"""README.md, CONTRIBUTING.md and the like, and the pages of docs/."""


def blocks(page: str, language: str) -> list[str]:
    """Code blocks of a page, but for the two lines that `.ci/run` executes on a clean checkout."""
    text = (ROOT / page).read_text()
    found = re.findall(rf"(?<! -->\n)^ *```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


def pages_with(language: str) -> list[str]:
    return [page for page in PAGES if blocks(page, language)]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a checkout has, where commands may write."""
    place = tmp_path_factory.mktemp("docs")
    for folder in ("mpobench", "plugins", "leaderboards", "docs"):
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (*ROOT.glob("*.md"), ROOT / "CITATION.cff"):
        shutil.copy(file, place)
    return place


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("bash"))
def test_every_command_works(page: str, workplace: Path, shared_cache: Path) -> None:
    commands = [line for block in blocks(page, "bash") for line in block.splitlines() if line.strip()]
    scripts = Path(sys.executable).parent
    env = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "MPOBENCH_CACHE": str(shared_cache),
    }
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=workplace,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for example in blocks(page, "python"):
        exec(compile(example, page, "exec"), {"__name__": "example"})


def test_pages_are_found_and_say_whether_a_block_is_executed() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/pages/install.md"} <= set(PAGES)
    assert {"CONTRIBUTING.md", "docs/pages/tuning.md"} <= set(pages_with("bash"))
    assert {"README.md", "docs/pages/python.md"} <= set(pages_with("python"))
    for page in PAGES:
        fences = re.findall(r"^ *```(.*)$", (ROOT / page).read_text(), re.MULTILINE)
        assert set(fences[::2]) <= {"bash", "python", "text", "bibtex"}, page
        assert not any(fences[1::2]), page


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_are_there(page: str) -> None:
    text = (ROOT / page).read_text()
    places = re.findall(r"`((?:mpobench|plugins|tests|leaderboards|docs)/[\w./-]+)`", text)
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_ci_runs_the_lines_of_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for marker in ("run", "test"):
        line = re.search(rf"<!-- ci: {marker} -->\n```bash\n(.*)\n```", text)
        assert line, marker
        assert "-c constraints.txt" in line[1]
    assert "for line in run test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_example_of_each_hook_is_a_plugin(hook: str) -> None:
    docstring = inspect.getdoc(getattr(hookspecs, hook)) or ""
    code = textwrap.dedent(docstring.split(".. code-block:: python\n")[1])
    module = types.ModuleType(f"example_of_{hook}")
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, hook, "exec"), vars(module))
        registry = Registry.of_modules([(module, "example", "1.0")])
        assert not registry.broken
        (registered,) = registry.cards(HOOKS[hook].kind)
        if registered.card.kind != "command":
            registry.resolve(registered.card.kind, registered.card.name)
    finally:
        del sys.modules[module.__name__]


def test_published_pages_match_their_results() -> None:
    results = sorted((ROOT / "leaderboards").glob("*.jsonl"))
    assert results
    for file in results:
        board = Leaderboard.of(read_results(file), tunings_of(file.with_suffix(".toml")))
        assert file.with_suffix(".md").read_text() == board.markdown(), file.name


def test_the_published_comparison_matches_the_published_results(tmp_path: Path) -> None:
    page = ROOT / "leaderboards" / "against-the-paper.md"
    names = ("tla", "tla-learned-std", "hopper", "discovered")
    boards = [ROOT / "leaderboards" / f"{name}.jsonl" for name in names]
    made = tmp_path / page.name
    options = [option for board in boards for option in ("--results", str(board))]
    assert invoke("compare", *options, "--output", str(made)).returncode == 0
    assert page.read_text() == made.read_text()


def test_the_page_about_the_number_of_seeds_matches_the_published_results() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "how_many_seeds.py"))["page"]()
    assert (ROOT / "leaderboards" / "how-many-seeds.md").read_text() == made


def tunings_of(suite: Path) -> tuple[TunedEntry, ...]:
    """The entries of the tuned file that a board's suite names."""
    named = Suite.from_toml(suite).tuned if suite.is_file() else None
    return TunedFile.read(ROOT / named).tuned if named else ()


def test_each_picture_is_made_by_the_command_and_shown() -> None:
    made = re.findall(r"--output (docs/pictures/\S+)", (ROOT / "docs" / "pictures" / "make").read_text())
    shown = [
        os.path.normpath(Path(page).parent / place)
        for page in PAGES
        for place in re.findall(r"!\[[^\]]+\]\((\S+)\)", (ROOT / page).read_text())
    ]
    there = [str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "pictures").glob("*.*")]
    assert sorted(made) == sorted(shown) == sorted(there)
    for picture in made:
        content = (ROOT / picture).read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert 10_000 < len(content) < 400_000


def test_readme_shows_a_published_leaderboard() -> None:
    readme = (ROOT / "README.md").read_text()
    shown = re.search(r"<!-- leaderboard: (\S+) -->\n(.*?)\n<!-- /leaderboard -->", readme, re.DOTALL)
    assert shown
    page = (ROOT / "leaderboards" / f"{shown[1]}.md").read_text()
    assert shown[2].strip()
    assert shown[2] in page
