"""Pictures show what is so: their data against losses and finite differences in float64, their words, their files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from mpobench import PreferenceBatch, SequenceLogps, Workspace
from mpobench.display.pictures import curve_style, rendered
from mpobench.errors import PluginError
from mpobench.planning.env_plan import plan_training
from mpobench.registry.build import Configured
from mpobench.registry.pair_plane import Circumstances, depends_on_progress, losses, slopes
from mpobench.registry.registry import Registry
from mpobench_plots.gradient import CELLS, gradient_figure
from mpobench_plots.labels import in_lines
from mpobench_plots.loss import loss_figure
from mpobench_plots.pairs import Points, dataset_points

SPAN = (-14.0, -8.0)
GIVEN = Circumstances(reference=(-12.5, -9.0), progress=0.7)
SPECS = ["orpo:lam=2", "simpo", "dpo:beta=0.5", "tampo", "slic", "mpo-noisy"]


def built(registry: Registry, *specs: str) -> list[Configured[Any]]:
    return [registry.build("objective", spec) for spec in specs]


def loss_of_pair(objective: Any, chosen: float, rejected: float, given: Circumstances) -> float:
    """The loss itself, by numpy in float64."""
    sides = (
        SequenceLogps(np.array([logp], np.float64), np.ones(1))
        for logp in (chosen, rejected, *given.reference)
    )
    return float(objective.component.loss(PreferenceBatch(*sides, progress=given.progress))[0])


def slope_of_pair(objective: Any, chosen: float, rejected: float, given: Circumstances) -> float:
    step = 1e-5
    high, low = (loss_of_pair(objective, chosen + way, rejected, given) for way in (step, -step))
    return abs(high - low) / (2 * step)


@pytest.mark.parametrize("spec", SPECS)
def test_slopes_are_those_of_the_loss(registry: Registry, spec: str) -> None:
    (objective,) = built(registry, spec)
    chosen, rejected = np.random.default_rng(0).uniform(*SPAN, (2, 50))
    expected = [slope_of_pair(objective, *pair, GIVEN) for pair in zip(chosen, rejected, strict=True)]
    np.testing.assert_allclose(slopes(objective, chosen, rejected, GIVEN), expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def gradients(registry: Registry) -> Any:
    points = Points(np.array([-9.0, -10.0, -20.0]), np.array([-13.0, -8.5, -9.0]), "here, base, seed 3")
    return gradient_figure(
        built(registry, "orpo:lam=2", "dpo", "tampo:schedule=sigmoid"), SPAN, GIVEN, points, "a note"
    )


def panels(figure: Any) -> list[Any]:
    return [axes for axes in figure.axes if axes.images]


def test_a_pixel_is_the_gradient_at_its_centre(registry: Registry, gradients: Any) -> None:
    objectives = built(registry, "orpo:lam=2", "dpo", "tampo:schedule=sigmoid")
    centres = SPAN[0] + (np.arange(CELLS) + 0.5) * (SPAN[1] - SPAN[0]) / CELLS
    for axes, objective in zip(panels(gradients), objectives, strict=True):
        (image,) = axes.images
        assert image.get_extent() == [*SPAN, *SPAN]
        assert image.origin == "lower"
        assert image.get_clim()[0] == 0
        drawn = image.get_array()
        for row, column in [(0, 0), (0, CELLS - 1), (CELLS - 1, 0), (70, 31)]:
            expected = slope_of_pair(objective, centres[column], centres[row], GIVEN)
            assert drawn[row, column] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_panels_say_what_they_are(gradients: Any) -> None:
    orpo, dpo, tampo = panels(gradients)
    assert [axes.get_title().replace("\n", "") for axes in (orpo, dpo)] == ["orpo:lam=2", "dpo"]
    assert tampo.get_title().replace("\n", "") == "tampo:schedule=sigmoidat progress 0.7"
    assert all(axes.get_xlabel() == r"$\log\,\pi(\tau_w)$ (nats per step)" for axes in (orpo, dpo, tampo))
    assert orpo.get_ylabel() == r"$\log\,\pi(\tau_l)$ (nats per step)"
    named = [axes.child_axes[0].get_ylabel() for axes in panels(gradients)]
    assert named == ["", "", r"$|\partial L\,/\,\partial\log\,\pi(\tau_w)|$"], (
        "the last colour scale of a row"
    )


def test_panels_mark_the_diagonal_the_pairs_and_the_reference(gradients: Any) -> None:
    for axes in panels(gradients):
        diagonal = axes.get_lines()[0]
        np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
        assert (axes.get_xlim(), axes.get_ylim()) == (SPAN, SPAN)
        (pairs,) = axes.collections
        np.testing.assert_array_equal(pairs.get_offsets(), [[-9, -13], [-10, -8.5], [-20, -9]])
    marked = [len(axes.get_lines()) == 2 for axes in panels(gradients)]
    assert marked == [False, True, False], "only a loss that reads a reference has one"
    mark = panels(gradients)[1].get_lines()[1]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == GIVEN.reference
    (legend,) = gradients.legends
    assert legend.get_title().get_text() == "a note"
    assert [text.get_text() for text in legend.get_texts()] == [
        r"$\log\,\pi(\tau_w)$ = $\log\,\pi(\tau_l)$",
        "2 of 3 pairs (here, base, seed 3)",
        "reference (−12.5, −9)",
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_every_objective_gets_a_panel_with_words_on_the_rim(registry: Registry, count: int) -> None:
    figure = gradient_figure(built(registry, *SPECS[:count]), SPAN, GIVEN)
    drawn = panels(figure)
    assert len(drawn) == count
    places = [np.round(axes.get_position().p0, 6) for axes in drawn]
    for words, side in ((1, "get_ylabel"), (0, "get_xlabel")):  # one per row, one per column
        named = {place[words] for place, axes in zip(places, drawn, strict=True) if getattr(axes, side)()}
        assert named == {place[words] for place in places}
    assert figure.get_figwidth() <= 6.75


def test_a_loss_that_cannot_be_evaluated_is_one_line_that_names_it(bandits: Registry) -> None:
    (objective,) = built(bandits, "raises")
    with pytest.raises(
        PluginError, match=r"^objective 'raises' of faulty_plugin 1\.0 cannot be drawn: .*such"
    ):
        slopes(objective, -1.0, -2.0, GIVEN)


def test_values_that_are_not_finite_leave_the_picture_empty(bandits: Registry) -> None:
    (objective,) = built(bandits, "nan")
    figure = gradient_figure([objective], SPAN, GIVEN)
    assert panels(figure)[0].images[0].get_array().mask.all()
    assert rendered(figure, ".png")
    assert rendered(loss_figure([objective], (-1, 1), -3.0, 0.5), ".svg")


def test_curves_are_the_losses_in_the_order_of_their_right_ends(registry: Registry) -> None:
    specs = ["dpo:beta=0.5", "simpo", "slic", "ipo", "tampo"]
    objectives = built(registry, *specs)
    figure = loss_figure(objectives, (-4.0, 3.0), -10.0, 0.7, "of what: of that")
    (axes,) = figure.axes
    curves = axes.get_lines()[: len(specs)]
    for curve, objective in zip(curves, objectives, strict=True):
        assert curve.get_xdata()[[0, -1]].tolist() == [-4.0, 3.0]
        for at in (0, 123, -1):
            expected = loss_of_pair(
                objective, -10.0 + curve.get_xdata()[at], -10.0, Circumstances((-10.0, -10.0), 0.7)
            )
            assert curve.get_ydata()[at] == pytest.approx(expected, rel=1e-5, abs=1e-5)
    (legend,) = figure.legends
    ends = {curve.get_label(): curve.get_ydata()[-1] for curve in curves}
    assert [text.get_text() for text in legend.get_texts()] == sorted(ends, key=lambda label: -ends[label])
    assert set(ends) == {*specs[:-1], "tampo\nat progress 0.7"}
    assert legend.get_title().get_text() == "of what:\nof that"
    assert axes.get_xlabel().endswith("= −10")
    assert axes.get_ylabel()


def test_curves_differ_without_their_colours() -> None:
    looks = [curve_style(number) for number in range(36)]
    assert len({(str(look["linestyle"]), look["marker"]) for look in looks}) == len(looks)
    assert len({look["color"] for look in looks[:7]}) == 7


def test_broken_specs_read_as_before() -> None:
    spec = "tampo:beta=3,gamma=1.25,schedule=sigmoid"
    assert in_lines(spec, 22) == "tampo:beta=3,\ngamma=1.25,\nschedule=sigmoid"
    assert in_lines(spec, 99) == spec
    assert in_lines("a" * 50, 22) == "a" * 50


def test_progress_is_told_where_it_matters(registry: Registry) -> None:
    told = [
        depends_on_progress(objective, -2.0, -3.0) for objective in built(registry, "tampo", "dpo", "orpo")
    ]
    assert told == [True, False, False]


def test_a_pair_is_seen_alone(registry: Registry) -> None:
    (objective,) = built(registry, "bco_pair")  # whose reference point is a mean over the batch
    together = losses(objective, np.array([-9.0, -13.0]), -10.0, GIVEN)
    alone = [losses(objective, chosen, -10.0, GIVEN) for chosen in (-9.0, -13.0)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_points_are_the_first_pairs_per_step(bandits: Registry, tmp_path: Path) -> None:
    training = plan_training(bandits, "bandit", "noisy:0.3", "dpo", 5, "quick")
    points = dataset_points(training, 20, Workspace(tmp_path))
    chosen, rejected = training.env.pair_logps(training.request.dataset, Workspace(tmp_path)) or ()
    np.testing.assert_array_equal(points.chosen, (chosen.total / chosen.length)[:20])
    np.testing.assert_array_equal(points.rejected, (rejected.total / rejected.length)[:20])
    assert points.medians == (np.median(points.chosen), np.median(points.rejected))
    low, high = points.span
    assert low < min(points.chosen.min(), points.rejected.min())
    assert high > max(points.chosen.max(), points.rejected.max())
    assert points.label(points.span) == "20 pairs (bandit, noisy:0.3, seed 5)"
    assert len(dataset_points(training, 1000, Workspace(tmp_path)).chosen) == 32


@pytest.mark.parametrize("picture", ["gradient", "loss"])
def test_files_are_pictures_and_the_same_ones_again(registry: Registry, picture: str) -> None:
    def draw() -> Any:
        objectives = built(registry, "dpo", "ipo")
        if picture == "gradient":
            return gradient_figure(objectives, SPAN, GIVEN)
        return loss_figure(objectives, (-4.0, 3.0), -10.0, 0.5)

    contents: dict[str, list[bytes]] = {}
    for suffix in (".png", ".PNG", ".svg", ".SVG"):
        contents.setdefault(suffix[1:].lower(), []).append(rendered(draw(), suffix))
    for first, second in contents.values():
        assert first == second
    with Image.open(io.BytesIO(contents["png"][0])) as image:
        image.verify()
        assert image.format == "PNG"
        assert min(image.size) > 400
    root = ElementTree.fromstring(contents["svg"][0])
    assert root.tag.endswith("svg")
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 20
