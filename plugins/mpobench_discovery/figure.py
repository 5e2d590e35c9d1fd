"""The picture of a search: its fitness over the generations, and the change of the learned functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from mpobench import Objective
from mpobench.display.pictures import ACCENT, COLOR_MAP, COLORS, DASHES, WIDTH, in_style
from mpobench_discovery.history import History, PastGeneration
from mpobench_discovery.learned_functions import Floats, LearnedFunction, learned_functions

POINTS = 401
"""Points of a curve; odd, so that one of them is the middle."""

CURVES = 6
"""Largest number of curves in a panel: the start, the last generation, and some in between."""


@in_style
def history_figure(history: History, span: tuple[float, float]) -> Figure:
    """The fitness over the generations, and below it one panel per learned function.

    Args:
        history: History of the search.
        span: Range of log π(τ), in nats per step.

    Raises:
        PluginError: If numpy cannot evaluate the objective.
    """
    functions = learned_functions(history.start, history.learned, span)
    columns = 2 if len(functions) in (2, 4) else max(len(functions), 1)
    rows = math.ceil(len(functions) / columns)
    heights = [2.3, 2.1 * rows] if rows else [2.3]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    # Subfigures have margins of their own: a legend beside the one takes no room from the other.
    above, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_fitness(above.subplots(), history)
    for part in below:
        _draw_functions(part, part.subplots(rows, columns, squeeze=False).ravel(), functions, history)
    return figure


def _draw_fitness(axes: Axes, history: History) -> None:
    numbers = np.array([generation.number for generation in history.generations])
    finite = [generation.fitness[np.isfinite(generation.fitness)] for generation in history.generations]
    mean, deviation, best = (
        np.array([summary(members) if len(members) else np.nan for members in finite])
        for summary in (np.mean, np.std, np.max)
    )
    # Dots where generations are few, so that a single one is seen.
    marker = "." if len(numbers) <= 30 else ""
    axes.plot(numbers, best, color=COLORS[2], linestyle=DASHES[1], marker=marker, label="best member")
    axes.plot(numbers, mean, color=COLORS[0], marker=marker, label="mean of the population")
    axes.fill_between(
        numbers,
        mean - deviation,
        mean + deviation,
        color="0.8",
        linewidth=1,
        label="± one standard deviation",
    )
    _mark_diverged(axes, history.generations)
    axes.set_title(history.name, parse_math=False)
    axes.set_xlabel("generation")
    axes.set_ylabel("fitness (mean return)")
    axes.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _mark_diverged(axes: Axes, generations: Sequence[PastGeneration]) -> None:
    """Marks at the foot of the generations some of whose members are missing from the curves."""
    counts = {generation.number: int((~np.isfinite(generation.fitness)).sum()) for generation in generations}
    marked = [number for number, count in counts.items() if count]
    if marked:
        members = sum(generation.fitness.size for generation in generations)
        axes.plot(
            marked,
            np.full(len(marked), 0.02),
            "|",
            color=ACCENT,
            markersize=5,
            transform=axes.get_xaxis_transform(),
            label=f"members that diverged,\nleft out ({sum(counts.values())} of {members})",
        )


def _draw_functions(
    part: SubFigure, panels: Sequence[Axes], functions: Sequence[LearnedFunction], history: History
) -> None:
    means = [(generation.number, generation.mean) for generation in history.generations]
    drawn = _some_of([(0, history.start), *means])
    colors = _colors(drawn[-1][0])
    for axes, function in zip(panels, functions, strict=True):
        _draw_function(axes, function, drawn, colors)
    bar = part.colorbar(colors, ax=panels, label="generation", pad=0.02)
    bar.set_ticks(
        [number for number, _ in drawn], labels=["start", *(str(number) for number, _ in drawn[1:])]
    )


def _some_of(steps: list[tuple[int, Objective]]) -> list[tuple[int, Objective]]:
    """The first one, the last one, and some in between at equal distances."""
    places = np.linspace(0, len(steps) - 1, CURVES).round().astype(int)
    return [steps[place] for place in np.unique(places)]


def _colors(last: int) -> ScalarMappable:
    """Colours of the generations, without the palest of the map, which are hard to see on white."""
    shades = matplotlib.colormaps[COLOR_MAP](np.linspace(0, 0.9, 256))
    return ScalarMappable(Normalize(0, last), ListedColormap(shades))


def _draw_function(
    axes: Axes, function: LearnedFunction, drawn: Sequence[tuple[int, Objective]], colors: ScalarMappable
) -> None:
    arguments = np.linspace(*function.span, POINTS)
    curves = [function.values(objective, arguments) for _, objective in drawn]
    shades = colors.to_rgba(np.array([number for number, _ in drawn]))
    # The first and the last curve differ from the others without their colours, too.
    styles = {0: {"linestyle": DASHES[1], "zorder": 3}, drawn[-1][0]: {"linewidth": 2.4}}
    for (number, _), curve, shade in zip(drawn, curves, shades, strict=True):
        axes.plot(arguments, np.ma.masked_invalid(curve), color=shade, **styles.get(number, {}))
    axes.set_xlim(function.span)
    axes.set_ylim(_limits(np.concatenate(curves)))
    axes.set_xlabel(function.argument)
    axes.set_ylabel(function.label)
    axes.spines[["top", "right"]].set_visible(False)


def _limits(values: Floats) -> tuple[float, float]:
    """Limits of the vertical axis: all of the curves, unless they are much steeper in places than elsewhere."""
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (5, 95))
    reach = high - low
    bottom, top = max(values.min(), low - reach), min(values.max(), high + reach)
    air = 0.04 * (top - bottom) or 0.5
    return bottom - air, top + air
