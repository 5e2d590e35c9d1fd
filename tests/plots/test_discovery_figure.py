"""``mpobench plot discovery``: what a search left is what its picture shows, and damage is one line that names it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

import mpobench
from mpobench import RequestError, Tensors, save_objective
from mpobench_plots.commands import app
from mpobench_plots.discovery import CURVES, discovery_figure
from mpobench_plots.discovery_folder import Search, read_search

SPAN = (-14.0, -8.0)
LOGP = np.linspace(*SPAN, 401)
FITNESS = [
    [3.0, 1.0, 2.0, np.nan],
    [2.0, 6.0, 4.0, 4.0],
    [np.nan, np.nan, np.nan, np.nan],
    [5.0, 7.0, np.nan, 9.0],
]
"""Of four generations."""


def generation_file(folder: Path, number: int) -> Path:
    return folder / "generations" / f"{number:04d}.safetensors"


def write_generation(file: Path, mean: Mapping[str, Any], fitness: Any, **metadata: str) -> None:
    tensors = {f"mean.{name}": np.asarray(value) for name, value in mean.items()}
    others = {"population": np.ones((4, 7), np.float32), "key": np.arange(2, dtype=np.uint32)}
    fitness = np.asarray(fitness, np.float64)
    file.parent.mkdir(exist_ok=True)
    save_file({**tensors, **others, "fitness": fitness}, file, metadata={"best": "3", **metadata})


def numbers(objective: Any) -> dict[str, Any]:
    """Of its networks, by ``<field>.<part>``."""
    networks = {field: value for field, value in objective if isinstance(value, Tensors)}
    return {f"{field}.{part}": array for field, parts in networks.items() for part, array in parts.items()}


def write_search(folder: Path, registered: str = "1s-mpo", fitness: list[Any] = FITNESS) -> Path:
    """A search whose mean takes a random step in every generation."""
    start = type(mpobench.objective(registered)).start()  # type: ignore[attr-defined]
    save_objective(folder / "start.json", start, registered, name="start", summary="Where the search began")
    random, mean = np.random.default_rng(0), numbers(start)
    for number, members in enumerate(fitness, 1):
        mean = {
            name: np.asarray(value + 0.02 * random.normal(size=value.shape), np.float32)
            for name, value in mean.items()
        }
        mean = {
            name: value if name.endswith(".bias") else np.maximum(value, 0) for name, value in mean.items()
        }
        write_generation(generation_file(folder, number), mean, members, generation=str(number))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_search(tmp_path_factory.mktemp("searches") / "tla-noisy-0.3-1s-mpo")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """To be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def search(folder: Path) -> Search:
    return read_search(folder)


@pytest.fixture(scope="module")
def figure(search: Search) -> Any:
    return discovery_figure(search, SPAN)


def parts_of(figure: Any) -> tuple[Any, list[Any], Any]:
    """The axes of the fitness, of the functions and of the colours."""
    fitness, *functions, colors = figure.axes
    return fitness, functions, colors


def labelled(axes: Any) -> dict[str, Any]:
    handles, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def test_generations_are_read_in_their_order(search: Search, tmp_path: Path) -> None:
    assert search.name == "tla-noisy-0.3-1s-mpo"
    assert search.start == type(search.start).start()  # type: ignore[attr-defined]
    for at, generation in enumerate(search.generations):
        assert generation.number == at + 1
        np.testing.assert_array_equal(generation.fitness, FITNESS[at])
    many = write_search(tmp_path / "many", fitness=[[1.0]])
    for number in (9999, 10000, 10001):
        write_generation(generation_file(many, number), numbers(search.start), [1.0], generation=str(number))
    (many / "generations" / "notes.txt").write_text("not a generation")
    assert [each.number for each in read_search(many).generations] == [1, 9999, 10000, 10001]


def test_the_mean_of_a_generation_is_an_objective(folder: Path, search: Search) -> None:
    for generation in search.generations:
        stored = load_file(generation_file(folder, generation.number))
        for name, value in numbers(generation.mean).items():
            np.testing.assert_array_equal(value, stored[f"mean.{name}"])
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
    whole = read_search(write_search(tmp_path / "whole", fitness=[[1.0, 2.0]]))
    axes, functions, colors = parts_of(discovery_figure(whole, SPAN))
    assert list(labelled(axes)) == ["best member", "mean of the population", "± one standard deviation"]
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
    assert [len(panel.get_lines()) for panel in functions] == [2, 2, 2]
    assert [text.get_text() for text in colors.get_yticklabels()] == ["start", "1"]


def test_a_search_whose_members_all_diverged_has_a_picture(tmp_path: Path) -> None:
    lost = read_search(write_search(tmp_path / "lost", fitness=[[np.nan, np.inf]] * 2))
    axes, _, _ = parts_of(discovery_figure(lost, SPAN))
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


def test_panels_show_what_generations_made_of_it(search: Search, figure: Any) -> None:
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
        other = discovery_figure(read_search(write_search(tmp_path / registered, registered)), SPAN)
        assert [axes.get_ylabel() for axes in parts_of(other)[1]] == expected
        assert other.get_figwidth() <= 6.75


def test_the_schedule_is_drawn_from_0_to_1(tmp_path: Path) -> None:
    search = read_search(write_search(tmp_path / "tampo", "tampo"))
    *_, alpha = parts_of(discovery_figure(search, SPAN))[1]
    for line in alpha.get_lines():
        assert line.get_ydata()[[0, -1]].tolist() == [0, 1]
    t = np.linspace(0, 1, 401)
    np.testing.assert_allclose(alpha.get_lines()[0].get_ydata(), t**2, atol=1e-5)


def test_a_long_search_is_drawn_by_a_handful_of_generations_in_their_colours(tmp_path: Path) -> None:
    search = read_search(write_search(tmp_path / "long", fitness=[[1.0, 2.0]] * 40))
    axes, functions, colors = parts_of(discovery_figure(search, SPAN))
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
    steep = write_search(tmp_path / "steep", fitness=[[1.0]] * 3)
    mean = {name: np.array(value) for name, value in numbers(read_search(steep).start).items()}
    for part, value in (("kernel_in", 100.0), ("bias", -285.0), ("kernel_out", 1e6)):
        mean[f"g_network.{part}"][1, 0] = value  # 10⁶ (100 x − 285)₊²: from 0 to 2 × 10⁸ behind x = 2.85
    write_generation(generation_file(steep, 3), mean, [1.0], generation="3")
    *_, g = parts_of(discovery_figure(read_search(steep), SPAN))[1]
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


def test_networks_that_a_search_leaves_alone_have_no_panel(copy: Path) -> None:
    for number in range(1, 5):
        tensors = load_file(generation_file(copy, number))
        kept = {name: value for name, value in tensors.items() if not name.startswith("mean.p")}
        save_file(kept, generation_file(copy, number), metadata={"generation": str(number)})
    search = read_search(copy)
    assert search.learned == {"g_network"}
    last: Any = search.generations[-1].mean
    assert last.phi_network == search.start.phi_network  # type: ignore[attr-defined]
    assert last.g_network != search.start.g_network  # type: ignore[attr-defined]
    (g,) = parts_of(discovery_figure(search, SPAN))[1]
    assert g.get_ylabel() == "$g(x)$, shifted to 0 at 0"


def test_a_search_for_numbers_alone_has_its_fitness_drawn(tmp_path: Path) -> None:
    dpo = mpobench.objective("dpo")
    save_objective(tmp_path / "start.json", dpo, "dpo", name="start", summary="Without networks")
    write_generation(generation_file(tmp_path, 1), {}, [1.0, 2.0], generation="1")
    (axes,) = discovery_figure(read_search(tmp_path), SPAN).axes
    assert "best member" in labelled(axes)


def test_a_function_that_cannot_be_evaluated_is_named(search: Search) -> None:
    class Shy(type(search.start)):  # type: ignore[misc]
        """Has no cloning term for numpy."""

        def cloning(self, xp: Any, logp: Any) -> Any:
            raise NotImplementedError("only\nin jax")

    shy = replace(search, start=Shy(**dict(search.start)))
    with pytest.raises(
        mpobench.MpobenchError, match=r"^psi_network of Shy cannot be drawn: .*: only in jax$"
    ):
        discovery_figure(shy, SPAN)


def plot(*args: str) -> str:
    """What the command prints on stdout."""
    return CliRunner().invoke(app, args, catch_exceptions=False).stdout


def test_the_file_is_named_after_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert plot("discovery", str(folder)) == "discovery-tla-noisy-0.3-1s-mpo.png\n"
    with Image.open("discovery-tla-noisy-0.3-1s-mpo.png") as image:
        image.verify()
        assert image.format == "PNG"
    shutil.copytree(folder, "a:b=c,d e")
    assert plot("discovery", "a:b=c,d e/") == "discovery-a:b=c,d e.png\n"
    monkeypatch.chdir("a:b=c,d e")
    assert plot("discovery", ".") == "discovery-a:b=c,d e.png\n"


def test_the_same_search_is_the_same_file(folder: Path, tmp_path: Path) -> None:
    for name in ("deep/a.svg", "b.SVG"):
        assert plot("discovery", str(folder), "--output", str(tmp_path / name)) == f"{tmp_path / name}\n"
    first, second = (tmp_path / "deep" / "a.svg").read_bytes(), (tmp_path / "b.SVG").read_bytes()
    assert first == second
    assert b"<svg" in first


def test_the_help_shows_how_it_is_called() -> None:
    assert "mpobench plot discovery discoveries/tla-noisy-0.3-1s-mpo" in plot("discovery", "--help")
    assert "what a search for one did" in plot("--help")


def rewritten(
    number: int, change: Callable[[dict[str, Any]], None], **metadata: str
) -> Callable[[Path], None]:
    """Damage to the tensors of one generation."""

    def damage(folder: Path) -> None:
        tensors = load_file(generation_file(folder, number))
        change(tensors)
        save_file(tensors, generation_file(folder, number), metadata={"generation": str(number), **metadata})

    return damage


def cut_short(folder: Path) -> None:
    file = generation_file(folder, 2)
    file.write_bytes(file.read_bytes()[:-100])


def without_metadata(folder: Path) -> None:
    save_file(load_file(generation_file(folder, 2)), generation_file(folder, 2))


SECOND = "generations/0002.safetensors"


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (shutil.rmtree, "there is no folder {}: name the one of a search"),
        (
            lambda folder: (folder / "start.json").unlink(),
            "{} is not the folder of a search: it has no start.json",
        ),
        (lambda folder: (folder / "start.json").write_text("{"), "{}/start.json is not JSON"),
        (
            lambda folder: (folder / "start.safetensors").unlink(),
            "cannot read the tensors of objective file {}",
        ),
        (lambda folder: shutil.rmtree(folder / "generations"), "{}: no generation is finished yet"),
        (
            lambda folder: [generation_file(folder, at).unlink() for at in (1, 2, 3, 4)],
            "{}: no generation is",
        ),
        (cut_short, f"generation file {{}}/{SECOND} is damaged: SafetensorError"),
        (
            lambda folder: generation_file(folder, 2).write_bytes(b""),
            f"{{}}/{SECOND} is damaged: SafetensorError",
        ),
        (without_metadata, f"{{}}/{SECOND} is damaged: it says that it is generation ''"),
        (
            rewritten(2, lambda tensors: None, generation="7"),
            f"{{}}/{SECOND} is damaged: it says that it is generation '7'",
        ),
        (rewritten(2, lambda tensors: tensors.pop("fitness")), f"{{}}/{SECOND} is damaged: SafetensorError"),
        (
            rewritten(2, lambda tensors: tensors.update(fitness=np.ones((2, 2)))),
            f"{{}}/{SECOND} is damaged: its fitness has shape (2, 2), not (population,)",
        ),
        (
            rewritten(
                2, lambda tensors: tensors.update({"mean.g_network.coefficient": np.ones(1, np.float32)})
            ),
            f"{{}}/{SECOND} does not fit start.json: the mean of g_network.coefficient has shape (1,), not ()",
        ),
        (
            rewritten(2, lambda tensors: tensors["mean.g_network.bias"].fill(np.nan)),
            f"{{}}/{SECOND} is damaged: ValueError: 'bias' holds a number that is not finite",
        ),
        (
            rewritten(2, lambda tensors: tensors.pop("mean.psi_network.bias")),
            f"{{}}/{SECOND} does not fit start.json: the mean of psi_network.bias is missing",
        ),
        (
            rewritten(
                4, lambda tensors: tensors.update({"mean.schedule_network.bias": np.ones(3, np.float32)})
            ),
            "{}/generations/0004.safetensors does not fit start.json: it has a mean of schedule_network.bias, which "
            "the start has not",
        ),
    ],
)
def test_bad_folders_are_one_line(
    damage: Callable[[Path], Any], line: str, copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damage(copy)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError) as refusal:
        plot("discovery", str(copy))
    assert line.format(copy) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.glob("*.png"))


def test_other_pictures_are_refused(folder: Path) -> None:
    with pytest.raises(RequestError, match=r"^--output a\.pdf: pictures are \.png or \.svg"):
        plot("discovery", str(folder), "--output", "a.pdf")


def test_without_matplotlib_the_command_says_how_to_get_it(
    mpobench_cli: Any, folder: Path, tmp_path: Path
) -> None:
    blocker = "import sys\nsys.modules['matplotlib'] = None  # as if it were not installed\n"
    (tmp_path / "sitecustomize.py").write_text(blocker)
    done = mpobench_cli("plot", "discovery", str(folder), path=(tmp_path,))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'mpobench: error: pictures need matplotlib: pip install "mpobench[plots]"\n'
