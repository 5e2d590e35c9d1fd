"""``mpobench discover plot``: the picture shows what the folder holds, and damage is one line that names it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from search_samples import a_search
from typer.testing import CliRunner

import mpobench
from mpobench import RequestError, Tensors, save_objective
from mpobench_discovery.commands import app
from mpobench_discovery.figure import CURVES, history_figure
from mpobench_discovery.folder import Folder, Generation
from mpobench_discovery.genome import Numbers, find_genome
from mpobench_discovery.history import History, read_history

SPAN = (-14.0, -8.0)
LOGP = np.linspace(*SPAN, 401)
KEY = "0" * 24
FITNESS = [
    [3.0, 1.0, 2.0, np.nan],
    [2.0, 6.0, 4.0, 4.0],
    [np.nan, np.nan, np.nan, np.nan],
    [5.0, 7.0, np.nan, 9.0],
]
"""Of four generations."""


def generation_file(folder: Path, number: int) -> Path:
    return folder / "generations" / f"{number:04d}.safetensors"


def write_generation(folder: Path, number: int, mean: Numbers, fitness: list[float]) -> None:
    members = len(fitness)
    state = {"state.mean": np.ones((4, 7), np.float32), "state.key": np.arange(2, dtype=np.uint32)}
    generation = Generation(
        number=number,
        mean=mean,
        state=state,
        fitness=np.asarray(fitness, np.float64),
        seeds=np.arange(members),
        evaluation_seeds=np.arange(members),
        seconds=1.0,
        busy=1.0,
        steps=0,
        workers=2,
    )
    Folder(folder).save(generation, KEY)


def networks(objective: Any) -> dict[str, dict[str, Any]]:
    return {field: dict(value) for field, value in objective if isinstance(value, Tensors)}


def write_search(
    folder: Path,
    registered: str = "1s-mpo",
    fitness: list[list[float]] = FITNESS,
    learn: tuple[str, ...] = (),
) -> Path:
    """A search whose mean takes a random step in every generation."""
    asked = a_search(family=registered, learn=learn, generations=len(fitness), population=len(fitness[0]))
    folder.mkdir(exist_ok=True)
    Folder(folder).claim(asked, KEY, "start")
    start = type(mpobench.objective(registered)).start()  # type: ignore[attr-defined]
    save_objective(folder / "start.json", start, registered, name="start", summary="Where the search began")
    fields = find_genome(registered, learn, str(folder / "start.json")).fields
    mean = {field: parts for field, parts in networks(start).items() if field in fields}
    random = np.random.default_rng(0)
    for number, members in enumerate(fitness, 1):
        mean = {
            field: {part: stepped(part, value, random) for part, value in parts.items()}
            for field, parts in mean.items()
        }
        write_generation(folder, number, mean, members)
    return folder


def stepped(part: str, value: Any, random: np.random.Generator) -> Any:
    moved = np.asarray(value + 0.02 * random.normal(size=value.shape), np.float32)
    return moved if part == "bias" else np.maximum(moved, np.float32(0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_search(tmp_path_factory.mktemp("searches") / "tla-noisy-0.3-1s-mpo")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """To be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def search(folder: Path) -> History:
    return read_history(folder)


@pytest.fixture(scope="module")
def figure(search: History) -> Any:
    return history_figure(search, SPAN)


def parts_of(figure: Any) -> tuple[Any, list[Any], Any]:
    """The axes of the fitness, of the functions and of the colours."""
    fitness, *functions, colors = figure.axes
    return fitness, functions, colors


def labelled(axes: Any) -> dict[str, Any]:
    handles, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def test_generations_are_read_in_their_order(search: History, tmp_path: Path) -> None:
    assert search.name == "tla-noisy-0.3-1s-mpo"
    assert search.start == type(search.start).start()  # type: ignore[attr-defined]
    for at, generation in enumerate(search.generations):
        assert generation.number == at + 1
        np.testing.assert_array_equal(generation.fitness, FITNESS[at])
    many = write_search(tmp_path / "many", fitness=[[1.0, 2.0]] * 11)
    (many / "generations" / "notes.txt").write_text("not a generation")
    assert [each.number for each in read_history(many).generations] == list(range(1, 12))


def test_the_mean_of_a_generation_is_an_objective(folder: Path, search: History) -> None:
    for generation in search.generations:
        stored = load_file(generation_file(folder, generation.number))
        for field, parts in networks(generation.mean).items():
            for part, value in parts.items():
                np.testing.assert_array_equal(value, stored[f"mean.{field}.{part}"])
        # What registers checks its numbers, which a copy of a model does not.
        assert type(generation.mean).model_validate(dict(generation.mean)) == generation.mean


def test_curves_are_over_the_members_that_did_not_diverge(figure: Any) -> None:
    axes, _, _ = parts_of(figure)
    drawn = labelled(axes)
    for label, expected in (
        ("best member", [3, 6, np.nan, 9]),
        ("mean of the population", [2, 4, np.nan, 7]),
    ):
        np.testing.assert_array_equal(drawn[label].get_xdata(), [1, 2, 3, 4])
        np.testing.assert_array_equal(drawn[label].get_ydata(), expected)
    edges: dict[float, set[float]] = {}
    for path in drawn["± one standard deviation"].get_paths():
        for x, y in path.vertices:
            edges.setdefault(x, set()).add(round(y, 9))
    deviations = {1: np.sqrt(2 / 3), 2: np.sqrt(2), 4: np.sqrt(8 / 3)}
    middles = {1: 2, 2: 4, 4: 7}
    assert edges == {
        at: {round(middles[at] + way * deviations[at], 9) for way in (-1, 1)} for at in deviations
    }
    marks = drawn["members that diverged,\nleft out (6 of 16)"]
    np.testing.assert_array_equal(marks.get_xdata(), [1, 3, 4])
    assert axes.get_ylabel() == "fitness (mean return)"
    assert axes.get_xlabel() == "generation"
    assert axes.get_title() == "tla-noisy-0.3-1s-mpo"
    assert [tick for tick in axes.get_xticks() if tick != round(tick)] == []


def test_no_mark_where_no_member_diverged(tmp_path: Path) -> None:
    whole = read_history(write_search(tmp_path / "whole", fitness=[[1.0, 2.0]]))
    axes, functions, colors = parts_of(history_figure(whole, SPAN))
    assert list(labelled(axes)) == ["best member", "mean of the population", "± one standard deviation"]
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
    assert [len(panel.get_lines()) for panel in functions] == [2, 2, 2]
    assert [text.get_text() for text in colors.get_yticklabels()] == ["start", "1"]


def test_a_search_whose_members_all_diverged_has_a_picture(tmp_path: Path) -> None:
    lost = read_history(write_search(tmp_path / "lost", fitness=[[np.nan, np.inf]] * 2))
    axes, _, _ = parts_of(history_figure(lost, SPAN))
    assert "members that diverged,\nleft out (4 of 4)" in labelled(axes)


def test_panels_begin_with_the_start(figure: Any) -> None:
    """A start of ``1s-mpo`` is ORPO: logit, log and log σ."""
    _, functions, _ = parts_of(figure)
    margins = np.linspace(-3, 3, 401)
    logit = LOGP - np.log1p(-np.exp(LOGP))
    expected = [
        (LOGP, logit - logit[200]),
        (LOGP, LOGP + 11),
        (margins, np.log(2) - np.log1p(np.exp(-margins))),
    ]
    for axes, (arguments, values) in zip(functions, expected, strict=True):
        np.testing.assert_array_equal(axes.get_lines()[0].get_xdata(), arguments)
        np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), values, atol=1e-12)
        assert axes.get_xlim() == (arguments[0], arguments[-1])


def test_panels_show_what_generations_made_of_it(search: History, figure: Any) -> None:
    _, functions, _ = parts_of(figure)
    for at, generation in enumerate(search.generations, 1):
        mean: Any = generation.mean
        (phi,) = mean.inverse_potentials(np, LOGP)
        wholes = [phi, mean.cloning(np, LOGP), mean.score(np, np.linspace(-3, 3, 401))]
        for axes, whole in zip(functions, wholes, strict=True):
            np.testing.assert_allclose(
                axes.get_lines()[at].get_ydata(), whole - whole[200], rtol=1e-9, atol=1e-12
            )


def test_panels_say_what_they_are(figure: Any, tmp_path: Path) -> None:
    _, functions, _ = parts_of(figure)
    phi, psi, g = (
        r"$\phi^{-1}(\pi(\tau))$, shifted to 0 at −11",
        r"$\psi(\pi(\tau))$, shifted to 0 at −11",
        "$g(x)$, shifted to 0 at 0",
    )
    assert [axes.get_ylabel() for axes in functions] == [phi, psi, g]
    logp = r"$\log\,\pi(\tau)$ (nats per step)"
    assert [axes.get_xlabel() for axes in functions] == [logp, logp, "margin $x$"]
    for registered, expected in (("2s-mpo", [phi, g]), ("tampo", [phi, psi, g, r"$\alpha(t)$"])):
        other = history_figure(read_history(write_search(tmp_path / registered, registered)), SPAN)
        assert [axes.get_ylabel() for axes in parts_of(other)[1]] == expected
        assert other.get_figwidth() <= 6.75


def test_the_schedule_is_drawn_from_0_to_1(tmp_path: Path) -> None:
    search = read_history(write_search(tmp_path / "tampo", "tampo"))
    *_, alpha = parts_of(history_figure(search, SPAN))[1]
    for line in alpha.get_lines():
        assert line.get_ydata()[[0, -1]].tolist() == [0, 1]
    t = np.linspace(0, 1, 401)
    np.testing.assert_allclose(alpha.get_lines()[0].get_ydata(), t**2, atol=1e-5)


def test_a_long_search_is_drawn_by_a_handful_of_generations_in_their_colours(tmp_path: Path) -> None:
    search = read_history(write_search(tmp_path / "long", fitness=[[1.0, 2.0]] * 40))
    axes, functions, colors = parts_of(history_figure(search, SPAN))
    assert labelled(axes)["best member"].get_xdata().tolist() == list(range(1, 41))
    names = [text.get_text() for text in colors.get_yticklabels()]
    assert names == ["start", "8", "16", "24", "32", "40"]
    assert len(names) == CURVES
    assert colors.get_ylabel() == "generation"
    last: Any = search.generations[-1].mean
    for panel, values in zip(functions[1:], (last.cloning(np, LOGP), None), strict=True):
        lines = panel.get_lines()
        looks = [line.get_color() for line in lines]
        assert len({tuple(look) for look in looks}) == CURVES
        brightness = [sum(look[:3]) for look in looks]
        assert brightness == sorted(brightness), "the colours of viridis go from dark to light"
        plain = (lines[1].get_linestyle(), lines[1].get_linewidth())
        assert all((line.get_linestyle(), line.get_linewidth()) == plain for line in lines[2:-1])
        assert lines[0].get_linestyle() != plain[0]
        assert lines[-1].get_linewidth() > plain[1]
        if values is not None:
            np.testing.assert_allclose(lines[-1].get_ydata(), values - values[200], rtol=1e-9, atol=1e-12)


def test_a_function_that_is_steep_in_one_place_leaves_the_others_to_be_seen(tmp_path: Path) -> None:
    steep = write_search(tmp_path / "steep", fitness=[[1.0, 1.0]] * 3)
    mean = networks(read_history(steep).start)
    mean["g_network"] = {part: np.array(value) for part, value in mean["g_network"].items()}
    for part, value in (("kernel_in", 100.0), ("bias", -285.0), ("kernel_out", 1e6)):
        mean["g_network"][part][1, 0] = value  # 10⁶ (100 x − 285)₊²: from 0 to 2 × 10⁸ behind x = 2.85
    write_generation(steep, 3, mean, [1.0, 1.0])
    *_, g = parts_of(history_figure(read_history(steep), SPAN))[1]
    low, high = g.get_ylim()
    assert max(line.get_ydata().max() for line in g.get_lines()) > 1e8
    for line in g.get_lines()[:3]:
        values = line.get_ydata()
        assert low < values.min()
        assert values.max() < high
        assert np.ptp(values) > 0.05 * (high - low)


def test_curves_that_are_tame_are_seen_whole(figure: Any) -> None:
    phi, psi, _ = parts_of(figure)[1]
    for axes in (phi, psi):
        low, high = axes.get_ylim()
        values = np.concatenate([line.get_ydata() for line in axes.get_lines()])
        assert low < values.min() < values.max() < high


def test_networks_that_a_search_leaves_alone_have_no_panel(tmp_path: Path) -> None:
    search = read_history(write_search(tmp_path / "g-alone", learn=("g",)))
    assert search.learned == ("g_network",)
    last: Any = search.generations[-1].mean
    assert last.phi_network == search.start.phi_network  # type: ignore[attr-defined]
    assert last.g_network != search.start.g_network  # type: ignore[attr-defined]
    (g,) = parts_of(history_figure(search, SPAN))[1]
    assert g.get_ylabel() == "$g(x)$, shifted to 0 at 0"


def test_a_function_that_cannot_be_evaluated_is_named(search: History) -> None:
    class Shy(type(search.start)):  # type: ignore[misc]
        """Has no cloning term for numpy."""

        def cloning(self, xp: Any, logp: Any) -> Any:
            raise NotImplementedError("only\nin jax")

    shy = replace(search, start=Shy(**dict(search.start)))
    with pytest.raises(
        mpobench.MpobenchError, match=r"^psi_network of Shy cannot be drawn: .*: only in jax$"
    ):
        history_figure(shy, SPAN)


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
