"""``mpobench discover plot``: the file that it writes, and damage is one line that names it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from history_samples import generation_file, write_search
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from mpobench import RequestError
from mpobench_discovery.commands import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_search(tmp_path_factory.mktemp("searches") / "tla-noisy-0.3-1s-mpo")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """To be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def plot(*args: str) -> str:
    """What the command prints on stdout."""
    return CliRunner().invoke(app, args, catch_exceptions=False).stdout


def test_the_file_is_named_after_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert plot("plot", str(folder)) == "discovery-tla-noisy-0.3-1s-mpo.png\n"
    with Image.open("discovery-tla-noisy-0.3-1s-mpo.png") as image:
        image.verify()
        assert image.format == "PNG"
    shutil.copytree(folder, "a:b=c,d e")
    assert plot("plot", "a:b=c,d e/") == "discovery-a:b=c,d e.png\n"
    monkeypatch.chdir("a:b=c,d e")
    assert plot("plot", ".") == "discovery-a:b=c,d e.png\n"


def test_the_same_search_is_the_same_file(folder: Path, tmp_path: Path) -> None:
    for name in ("deep/a.svg", "b.SVG"):
        assert plot("plot", str(folder), "--output", str(tmp_path / name)) == f"{tmp_path / name}\n"
    first, second = (tmp_path / "deep" / "a.svg").read_bytes(), (tmp_path / "b.SVG").read_bytes()
    assert first == second
    assert b"<svg" in first


def test_the_help_shows_how_it_is_called() -> None:
    assert "mpobench discover plot discoveries/tla-noisy-0.3-1s-mpo" in plot("plot", "--help")


def rewritten(
    number: int, change: Callable[[dict[str, Any]], object], **metadata: str
) -> Callable[[Path], None]:
    """Damage to the tensors or the metadata of one generation."""

    def damage(folder: Path) -> None:
        file = generation_file(folder, number)
        with safe_open(file, framework="numpy") as opened:
            before = opened.metadata()
        tensors = load_file(file)
        change(tensors)
        save_file(tensors, file, metadata={**before, **metadata})

    return damage


def cut_short(folder: Path) -> None:
    file = generation_file(folder, 2)
    file.write_bytes(file.read_bytes()[:-100])


def without_metadata(folder: Path) -> None:
    save_file(load_file(generation_file(folder, 2)), generation_file(folder, 2))


SECOND = "{}/generations/0002.safetensors is damaged: delete it and those after it"


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (shutil.rmtree, "there is no folder {}: name the one of a search"),
        (
            lambda folder: (folder / "search.json").unlink(),
            "{} is not the folder of a search: it has no search.json",
        ),
        (lambda folder: (folder / "search.json").write_text("{"), "{}/search.json is damaged"),
        (
            lambda folder: (folder / "search.json").write_text('{"key": "", "start": "", "search": {}}'),
            "{}/search.json is damaged",
        ),
        (lambda folder: (folder / "start.json").unlink(), "{}/start.json is missing"),
        (lambda folder: (folder / "start.json").write_text("{"), "{}/start.json is not JSON"),
        (
            lambda folder: (folder / "start.safetensors").unlink(),
            "cannot read the tensors of objective file {}",
        ),
        (lambda folder: shutil.rmtree(folder / "generations"), "{}: no generation is finished yet"),
        (cut_short, SECOND),
        (lambda folder: generation_file(folder, 2).write_bytes(b""), SECOND),
        (without_metadata, SECOND),
        (rewritten(2, dict, generation="7"), "{}/generations/0002.safetensors is of another search"),
        (rewritten(2, lambda tensors: tensors.pop("fitness")), SECOND),
        (rewritten(2, lambda tensors: tensors.update(fitness=np.ones((2, 2)))), SECOND),
        (
            rewritten(
                2, lambda tensors: tensors.update({"mean.g_network.coefficient": np.ones(1, np.float32)})
            ),
            SECOND,
        ),
        (rewritten(2, lambda tensors: tensors["mean.g_network.bias"].fill(np.nan)), SECOND),
        (rewritten(2, lambda tensors: tensors.pop("mean.psi_network.bias")), SECOND),
    ],
)
def test_bad_folders_are_one_line(
    damage: Callable[[Path], Any], line: str, copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damage(copy)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError) as refusal:
        plot("plot", str(copy))
    assert line.format(copy) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.glob("*.png"))


def test_other_pictures_are_refused(folder: Path) -> None:
    with pytest.raises(RequestError, match=r"^--output a\.pdf: pictures are \.png or \.svg"):
        plot("plot", str(folder), "--output", "a.pdf")


def test_without_matplotlib_the_command_says_how_to_get_it(
    mpobench_cli: Any, folder: Path, tmp_path: Path
) -> None:
    blocker = "import sys\nsys.modules['matplotlib'] = None  # as if it were not installed\n"
    (tmp_path / "sitecustomize.py").write_text(blocker)
    done = mpobench_cli("discover", "plot", str(folder), path=(tmp_path,))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'mpobench: error: pictures need matplotlib: pip install "mpobench[plots]"\n'
