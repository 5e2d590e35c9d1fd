"""``mpobench discover export``: what it writes is a plugin that pip installs, tests itself and runs like its file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_process
import pytest
from clean_environment import REPOSITORY, in_environment, lay_out, make_environment, own_tests
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_file_samples import one_step
from processes import Install, Run
from typer.testing import CliRunner

import mpobench
from mpobench import RequestError, save_objective
from mpobench.registry.objective_files import read_objective_file
from mpobench.registry.registry import Registry
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultStore
from mpobench_discovery.commands import app
from mpobench_discovery.export import export
from mpobench_discovery.package import SPAN
from mpobench_discovery.package_words import cell, plain

PROVENANCE = {
    "env": "tla",
    "corruption": "noisy:0.3",
    "learn": ["psi", "phi", "g"],
    "training": {"epochs": 6},
    "fitness_before": [2438.0, 87.1],
    "fitness_after": [2765.25, 60.0],
    "gain_95": [101.5, 480.0],
    "held_out_seeds": 12,
}


def save(path: Path, spec: str = "", name: str = "tla-noisy-0.3", **card: Any) -> Path:
    """An objective file: three networks, or whatever a spec says."""
    objective = mpobench.objective(spec) if spec else type(mpobench.objective("1s-mpo")).start()
    said = {"summary": "Found on noisy labels", "provenance": PROVENANCE, **card}
    save_objective(path, objective, spec.partition(":")[0] or "1s-mpo", name=name, **said)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save(tmp_path / "search" / "objective.json")


def test_it_writes_a_whole_package(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["export", str(file)], catch_exceptions=False)
    assert done.stdout == "mpobench-tla-noisy-0.3\n"
    project = tmp_path / "mpobench-tla-noisy-0.3"
    assert sorted(str(each.relative_to(project)) for each in project.rglob("*.*")) == [
        "README.md",
        "mpobench_tla_noisy_0_3/__init__.py",
        "mpobench_tla_noisy_0_3/objective.json",
        "mpobench_tla_noisy_0_3/objective.safetensors",
        "mpobench_tla_noisy_0_3/py.typed",
        "pyproject.toml",
        "tests/test_objective.py",
    ]
    written = read_objective_file(project / "mpobench_tla_noisy_0_3" / "objective.json")
    assert written.card == read_objective_file(file).card
    said = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert (said["name"], said["description"]) == ("mpobench-tla-noisy-0.3", "Found on noisy labels")
    assert said["dependencies"] == ["mpobench"]
    readme = (project / "README.md").read_text()
    for words in (
        "a `1s-mpo` of mpobench",
        "It trains in one stage, and needs no reference policy.",
        "Its loss falls with log π(τ_w) and rises with log π(τ_l)",
        "| fitness of the start | 2438 ± 87.1 |",
        "| 95 % interval of the gain | 101.5 to 480 |",
        "pip install ./mpobench-tla-noisy-0.3\n",
        "mpobench run --objectives tla-noisy-0.3,orpo --envs tla --corruptions base,noisy:0.3\n",
        "| learn | psi, phi, g |",
        '| training | {"epochs": 6} |',
    ):
        assert words in readme
    assert str(tmp_path) not in "".join(
        each.read_text() for each in project.rglob("*.[jmpt]*") if each.is_file()
    )


def test_names_can_be_chosen_and_an_empty_folder_filled(file: Path, tmp_path: Path) -> None:
    for option in ("nested/robust", "there"):
        folder = tmp_path / option
        if option == "there":
            folder.mkdir()
        package = export(file, folder, "Robust.Loss")
        assert (package.module, package.folder) == ("robust_loss", folder)
        assert (folder / "robust_loss" / "objective.safetensors").exists()
        assert f"pip install ./{folder.name}\n" in (folder / "README.md").read_text()


OBJECTIVES = {
    "networks": "",
    "a margin that is wide enough": "ipo:tau=0.1",
    "two stages, and pairs that look at each other": "kto",
    "progress": "tampo:schedule=sigmoid",
}


def test_it_passes_its_own_tests(tmp_path: Path) -> None:
    projects = []
    for number, spec in enumerate(OBJECTIVES.values()):
        package = export(save(tmp_path / "o.json", spec, name=f"found-{number}"), tmp_path / str(number))
        lay_out(package.folder, tmp_path / "site")
        projects.append(package.folder)
    done = own_tests(tmp_path / "site", *projects)
    assert done.returncode == 0, done.stdout
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed == 13 + 7 + 13 + 13, "a margin that is wide enough has fewer tests"


def test_its_tests_notice(tmp_path: Path) -> None:
    site, projects = tmp_path / "site", {}
    for damage in ("numbers", "loss"):
        file = save(tmp_path / damage / "objective.json", name=damage)
        package = projects[damage] = export(file, tmp_path / f"package-{damage}", f"changed-{damage}")
        lay_out(package.folder, site)
    tests = projects["numbers"].folder / "tests" / "test_objective.py"
    tests.write_text(tests.read_text().replace("objective.json", "other.json"))
    save(site / projects["numbers"].module / "other.json", name="other", spec="1s-mpo:lam=3")
    installed = site / projects["loss"].module / "objective.json"
    save_objective(installed, mpobench.objective("mpo-noisy"), "mpo-noisy", name="x", summary="X")
    installed.write_text(installed.read_text().replace('"x"', '"loss"'))
    done = own_tests(site, *(package.folder for package in projects.values()))
    assert done.returncode == 1, done.stdout
    failed = Counter(re.findall(r"^FAILED .*::(test_\w+)", done.stdout, re.MULTILINE))
    assert failed == {
        "test_it_has_the_numbers_of_its_file": 1,
        "test_it_falls_with_the_chosen_and_rises_with_the_rejected_log_probability": 3,
        "test_its_gradients_do_too": 3,
    }


def test_it_is_written_as_the_repository_is(file: Path, tmp_path: Path) -> None:
    long = save(tmp_path / "long.json", "ipo", name="x" * 60, summary='"' * 160)
    for package in (export(file, tmp_path / "package"), export(long, tmp_path / "long", "y" * 80)):
        for check in (["check"], ["format", "--check"]):
            settings = ["--no-cache", "--config", str(REPOSITORY / "pyproject.toml")]
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *check, *settings, str(package.folder)],
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout


def _tampered(path: Path) -> None:
    tensors = path.with_suffix(".safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x01")


def _huge(path: Path) -> None:
    card = json.loads(path.read_text())
    card["fields"].update(beta=1e308, lam=1e308)
    path.write_text(json.dumps(card))


REFUSALS: dict[str, tuple[Callable[[Path], object] | None, dict[str, Any], str]] = {
    "no file": (Path.unlink, {}, "cannot read objective file {path}: no such file or directory"),
    "no objective file": (lambda path: path.write_text("{}"), {}, "{path} has format None"),
    "tampered": (_tampered, {}, "is not the file that it was saved with (its SHA-256 differs)"),
    "losses": (
        _huge,
        {},
        "objective file {path}: its losses are not all finite where log π(τ) lies between -14",
    ),
    "a folder with files": (
        lambda path: (path.parent / "full").mkdir() or (path.parent / "full" / "x").touch(),
        {"folder": "full"},
        "full is there already, and not empty: choose another --output",
    ),
    "a file": (
        lambda path: (path.parent / "a").touch(),
        {"folder": "a"},
        "a is there already, and not empty",
    ),
    "spaces": (
        None,
        {"name": "my loss"},
        "'my loss' is no name for a package: choose a --package of letters",
    ),
    "a number": (None, {"name": "3d"}, "'3d' is no name for a package"),
    "a path": (None, {"name": "../x"}, "'../x' is no name for a package"),
    "a dash at the end": (None, {"name": "x-"}, "'x-' is no name for a package"),
    "a keyword": (None, {"name": "class"}, "'class' is no name for a package"),
    "ours": (None, {"name": "mpobench"}, "there is a Python module 'mpobench' already"),
    "a plugin of ours": (
        None,
        {"name": "mpobench-objectives"},
        "there is a Python module 'mpobench_objectives'",
    ),
    "the library's": (None, {"name": "json"}, "there is a Python module 'json' already"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_are_one_line_and_leave_nothing(case: str, file: Path) -> None:
    spoil, names, line = REFUSALS[case]
    if spoil is not None:
        spoil(file)
    before = sorted(file.parent.rglob("*"))
    with pytest.raises(RequestError) as caught:
        export(file, file.parent / names.get("folder", "package"), names.get("name"))
    assert line.format(path=file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(file.parent.rglob("*")) == before


def test_only_files_are_exported() -> None:
    done = in_process.invoke("discover", "export", "dpo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "mpobench: error: dpo is no objective file: its name has to end in .json\n"


def test_what_others_have_registered_is_refused_and_its_own_is_not(
    file: Path, tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = export(file, tmp_path / "package")
    lay_out(package.folder, site := tmp_path / "exported")

    def again(*options: str, path: Path) -> subprocess.CompletedProcess[str]:
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(path)
            try:
                with in_process.installed(Registry.load()):
                    return in_process.invoke(
                        "discover", "export", str(file), "--output", str(tmp_path / "again"), *options
                    )
            finally:
                for module in (package.module, "theirs"):
                    sys.modules.pop(module, None)

    assert again(path=site).returncode == 0
    renamed = again("--package", "other", path=site)
    assert renamed.returncode == 2
    assert renamed.stderr == (
        f"mpobench: error: objective file {file}: mpobench-tla-noisy-0.3 0.1.0 has an objective named "
        "'tla-noisy-0.3' already: give the file another name\n"
    )
    theirs = install(
        "theirs",
        "from mpobench import Objective, ObjectiveCard, hookimpl\n"
        "class Mine(Objective):\n"
        "    'Mine.'\n"
        "    def loss(self, batch):\n"
        "        return -batch.chosen.total\n"
        "@hookimpl\n"
        "def mpobench_objectives():\n"
        "    yield ObjectiveCard(name='tla-noisy-0.3', summary='Mine', target='theirs:Mine')\n",
    )
    refused = again(path=theirs)
    assert refused.returncode == 2
    assert "is named 'tla-noisy-0.3', like an objective of theirs 1.0" in refused.stderr
    assert not (tmp_path / "again").exists()


TEXT = st.text(min_size=1, max_size=40)


@settings(max_examples=50)
@given(
    summary=st.from_regex(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,160}", fullmatch=True),
    provenance=st.dictionaries(
        TEXT, TEXT | st.integers() | st.none() | st.lists(TEXT) | st.dictionaries(TEXT, TEXT)
    ),
)
def test_any_words_survive(
    tmp_path_factory: pytest.TempPathFactory, summary: str, provenance: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("words")
    package = export(
        save(folder / "o.json", "sft", summary=summary, provenance=provenance), folder / "package"
    )
    said = tomllib.loads((package.folder / "pyproject.toml").read_text())["project"]
    assert said["description"] == summary
    written = read_objective_file(package.folder / package.module / "objective.json")
    assert (written.card.summary, written.card.provenance) == (summary, provenance)
    readme = (package.folder / "README.md").read_text()
    rows = [line for line in readme.splitlines() if line.startswith("|")]
    assert len(rows) == (len(provenance) + 2 if provenance else 0)
    for row in rows:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 3
    assert readme.count("```") == 8


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a|b *c* <i> `d`", r"a\|b \*c\* \<i\> \`d\`"),
        ("two\nlines\x1b[31m", r"two lines \[31m"),
        (0.5, "0.5"),
        (True, "true"),
        (None, "null"),
        ([1, "b", None], "1, b, null"),
        ([], ""),
        (list(range(9)), r"\[0, 1, 2, 3, 4, 5, 6, 7, 8\]"),
        ([[1, 2]], r"\[\[1, 2\]\]"),
        ({"a_b": "π"}, r'{"a\_b": "π"}'),
    ],
)
def test_provenance_is_shown_as_it_is(value: Any, shown: str) -> None:
    assert cell(value) == shown
    assert plain("  two\twords ") == "two words"


def test_it_is_tested_where_the_paper_s_data_lie() -> None:
    assert SPAN == (-14.0, -8.0)


@pytest.mark.slow
def test_pip_installs_it_and_it_runs_like_its_file(
    tmp_path: Path, mpobench_cli: Run, bandit_site: Path
) -> None:
    file = tmp_path / "search" / "objective.json"
    save_objective(file, one_step(lam=2.0), "1s-mpo", name="found", summary="Found", provenance=PROVENANCE)
    package = export(file, tmp_path / "package")
    programs = make_environment(tmp_path / "environment", package.folder)

    listing = json.loads(in_environment(programs, "mpobench", "plugins", "--json").stdout)
    assert listing["broken"] == []
    (found,) = (each for each in listing["components"] if each["name"] == "found")
    assert (found["distribution"], found["kind"]) == ("mpobench-found", "objective")

    options = ("--envs", "bandit", "--corruptions", "base", "--scale", "smoke", "--results")
    by_name = in_environment(
        programs,
        *("mpobench", "run", "--objectives", "found,dpo", *options, str(tmp_path / "by name")),
        MPOBENCH_CACHE=str(tmp_path / "cache"),
        PYTHONPATH=str(bandit_site),
    )
    assert by_name.returncode == 0, by_name.stderr
    assert re.search(r"^found +\S", by_name.stdout, re.M)
    by_path = mpobench_cli(
        *("run", "--objectives", str(file), *options, str(tmp_path / "by path")),
        path=(bandit_site,),
        cache=tmp_path / "another cache",
    )
    assert by_path.returncode == 0, by_path.stderr
    ours, theirs = result(tmp_path / "by name"), result(tmp_path / "by path")
    assert (ours.plugin, ours.origin) == ("mpobench-found 0.1.0", "discovered")
    assert ours.metrics == theirs.metrics
    assert ours.curves == theirs.curves

    again = ("mpobench", "discover", "export", str(file), "--output", str(tmp_path / "again"))
    assert in_environment(programs, *again).returncode == 0, "the wheel has the templates"
    assert (tmp_path / "again" / "README.md").exists()
    tested = in_environment(
        programs, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package.folder / "tests")
    )
    assert tested.returncode == 0, tested.stdout
    assert "13 passed" in tested.stdout


def result(folder: Path) -> CellResult:
    (found,) = (each for each in ResultStore(folder).load_all() if each.objective == "found")
    return found
