"""The picture of a search shows what its folder holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from history_samples import FITNESS, generation_file, networks, write_generation, write_search
from safetensors.numpy import load_file

import mpobench
from mpobench_discovery.figure import CURVES, history_figure
from mpobench_discovery.history import History, read_history

SPAN = (-14.0, -8.0)
LOGP = np.linspace(*SPAN, 401)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_search(tmp_path_factory.mktemp("searches") / "tla-noisy-0.3-1s-mpo")


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
