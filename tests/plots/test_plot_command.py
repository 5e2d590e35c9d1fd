"""``mpobench plot``: files appear where they should, and what cannot be drawn is refused in one line."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import in_process
import pytest
from PIL import Image
from processes import Run
from typer.testing import CliRunner

import mpobench
from mpobench import save_objective
from mpobench.registry.registry import Registry
from mpobench_plots.commands import app

PNG = b"\x89PNG\r\n\x1a\n"


def plot(*args: str) -> str:
    """What the command prints on stdout."""
    return CliRunner().invoke(app, args, catch_exceptions=False).stdout


def test_the_file_is_named_after_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert plot("loss", "dpo:beta=0.3,ipo", "dpo:beta=0.3") == "loss-dpo-beta-0.3-ipo.png\n"
    assert plot("gradient", "orpo", "--points", "0") == "gradient-orpo.png\n"
    assert {file.name for file in tmp_path.iterdir()} == {"loss-dpo-beta-0.3-ipo.png", "gradient-orpo.png"}
    assert all(file.read_bytes().startswith(PNG) for file in tmp_path.iterdir())


def test_objective_files_are_drawn_as_names_are(tmp_path: Path) -> None:
    card = tmp_path / "objective.json"
    save_objective(
        card, mpobench.objective("1s-mpo"), "1s-mpo", name="found", summary="Found", provenance={"seed": 1}
    )
    picture = tmp_path / "deep" / "found.svg"
    args = ("--points", "0", "--range", "-20", "-4", "--reference", "-9", "-8", "--output", str(picture))
    assert plot("gradient", "orpo", f"{card}:lam=0.5", *args) == f"{picture}\n"
    assert "<svg" in picture.read_text()


@pytest.fixture
def invoke_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs the program in this process, with plugins of some folders among those that are installed."""

    def run(*args: str, path: tuple[Path, ...]) -> subprocess.CompletedProcess[str]:
        monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "cache"))
        for folder in path:
            monkeypatch.syspath_prepend(folder)
        with in_process.installed(Registry.load()):
            return in_process.invoke(*args)

    return run


def test_pairs_of_any_environment_lie_on_top(invoke_with: Run, bandit_site: Path, tmp_path: Path) -> None:
    picture = tmp_path / "bandit.png"
    args = ("--env", "bandit", "--corruption", "noisy:0.2", "--seed", "3", "--output", str(picture))
    card = tmp_path / "objective.json"
    save_objective(card, mpobench.objective("1s-mpo"), "1s-mpo", name="found", summary="Found", provenance={})
    for objectives in (("dpo", "simpo"), (f"{card},dpo",), ("dpo,simpo", "orpo")):
        done = invoke_with("plot", "gradient", *objectives, *args, path=(bandit_site,))
        assert (done.returncode, done.stdout) == (0, f"{picture}\n"), done.stderr
    assert "bandit, noisy:0.2, seed 3" in done.stderr
    with Image.open(picture) as image:
        assert image.format == "PNG"


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["loss", "dpp"], "unknown objective 'dpp': did you mean 'dpo'?"),
        (["loss", "dpo:bta=1"], "objective 'dpo': no field 'bta': did you mean 'beta'?"),
        (["gradient", "orpo", "--env", "tlaa", "--points", "0"], "unknown env 'tlaa': did you mean 'tla'?"),
        (
            ["gradient", "orpo", "--corruption", "nosy:0.1"],
            "unknown corruption 'nosy': did you mean 'noisy'?",
        ),
        (["loss", "dpo", "--output", "a.pdf"], "--output a.pdf: pictures are .png or .svg"),
        (["loss", "dpo", "--output", "a"], "--output a: pictures are .png or .svg"),
        (["loss", "dpo", "--range", "3", "-3"], "--range 3 -3: give two numbers, the smaller one first"),
        (["gradient", "dpo", "--range", "-3", "nan"], "--range -3 nan: give finite numbers"),
        (["gradient", "dpo", "--reference", "-inf", "0"], "--reference -inf 0: give finite numbers"),
        (["loss", "dpo", "--rejected", "nan"], "--rejected nan: give finite numbers"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_requests_are_one_line(
    args: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mpobench.RequestError) as refusal:
        plot(*args)
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_an_environment_without_such_pairs_says_how_to_do_without(
    invoke_with: Run, install: Any, bandit_site: Path, tmp_path: Path
) -> None:
    site = install(
        "shy",
        "from typing import ClassVar\n"
        "from bandit_plugin import Bandit\n"
        "from mpobench import EnvCard, hookimpl\n"
        "class Shy(Bandit):\n"
        "    '''Tells no log-probabilities.'''\n"
        "    pair_logps: ClassVar[None] = None\n"
        "@hookimpl\n"
        "def mpobench_envs():\n"
        "    yield EnvCard(name='shy', summary='Shy', target='shy:Shy')\n",
    )
    args = ("plot", "gradient", "dpo", "--env", "shy", "--output", str(tmp_path / "shy.png"))
    done = invoke_with(*args, path=(site, bandit_site))
    assert (done.returncode, done.stdout) == (2, "")
    assert "shy cannot tell log-probabilities of its pairs: draw none, with --points 0" in done.stderr
    assert not (tmp_path / "shy.png").exists()


def test_without_matplotlib_the_command_says_how_to_get_it(mpobench_cli: Any, tmp_path: Path) -> None:
    blocker = "import sys\nsys.modules['matplotlib'] = None  # as if it were not installed\n"
    (tmp_path / "sitecustomize.py").write_text(blocker)
    for picture in ("loss", "gradient", "curves"):
        done = mpobench_cli("plot", picture, "dpo", path=(tmp_path,))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == 'mpobench: error: pictures need matplotlib: pip install "mpobench[plots]"\n'
