"""What a search for an objective did: its fitness over the generations, and how the learned functions changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

import array_api_compat
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mpobench import Objective
from mpobench.errors import PluginError, one_line
from mpobench_plots.discovery_folder import Generation, Search
from mpobench_plots.style import ACCENT, COLOR_MAP, COLORS, DASHES, WIDTH, in_style, number

CURVE = 401
"""Points of a curve; odd, so that one of them is the middle."""

CURVES = 6
"""Of a panel at most: the start, the last generation, and some in between."""

MARGINS = (-3.0, 3.0)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LearnedFunction:
    """A function that an objective can learn.

    Attributes:
        field: of the objective, where its network is.
        symbol: what it is called on its axis.
        argument: likewise.
        span: of its argument.
        shifted: whether it is drawn from the value in the middle, because it means the same with any constant added.
        at: its values, given the objective, the array namespace and arguments ``(points,)``.
    """

    field: str
    symbol: str
    argument: str
    span: tuple[float, float]
    shifted: bool
    at: Callable[[Any, Any, Floats], Floats]

    @property
    def label(self) -> str:
        """Of its axis."""
        return f"{self.symbol}, shifted to 0 at {number(sum(self.span) / 2)}" if self.shifted else self.symbol

    def values(self, objective: Objective, arguments: Floats) -> Floats:
        """What is drawn over some arguments, of which the middle one is in the middle.

        Raises:
            PluginError: if the objective cannot be evaluated by numpy.
        """
        try:
            with np.errstate(all="ignore"):  # what is not finite is left out of the picture
                xp = array_api_compat.array_namespace(arguments)
                values = np.asarray(self.at(objective, xp, arguments))
                return values - values[len(values) // 2] if self.shifted else values
        except Exception as error:
            name = type(objective).__name__
            raise PluginError(f"{self.field} of {name} cannot be drawn: {one_line(error)}") from error


def learned_functions(learned: Container[str], span: tuple[float, float]) -> list[LearnedFunction]:
    """Those of the four that a search learns.

    Args:
        learned: fields of their networks.
        span: of log π(τ), in nats per step.
    """
    logp = r"$\log\,\pi(\tau)$ (nats per step)"
    known = [
        LearnedFunction(
            "phi_network",
            r"$\phi^{-1}(\pi(\tau))$",
            logp,
            span,
            shifted=True,
            at=lambda objective, xp, logp: objective.inverse_potentials(xp, logp)[0],
        ),
        LearnedFunction(
            "psi_network",
            r"$\psi(\pi(\tau))$",
            logp,
            span,
            shifted=True,
            at=lambda objective, xp, logp: objective.cloning(xp, logp),
        ),
        LearnedFunction(
            "g_network",
            r"$g(x)$",
            r"margin $x$",
            MARGINS,
            shifted=True,
            at=lambda objective, xp, margin: objective.score(xp, margin),
        ),
        LearnedFunction(
            "schedule_network",
            r"$\alpha(t)$",
            r"share of training done, $t$",
            (0.0, 1.0),
            shifted=False,
            at=lambda objective, xp, t: objective.preference_weight(xp, t),
        ),
    ]
    return [function for function in known if function.field in learned]


@in_style
def discovery_figure(search: Search, span: tuple[float, float]) -> Figure:
    """The fitness over the generations, and below it one panel per learned function.

    Args:
        search: what it has left so far.
        span: of log π(τ), in nats per step.

    Raises:
        PluginError: if the objective cannot be evaluated by numpy.
    """
    functions = learned_functions(search.learned, span)
    columns = 2 if len(functions) in (2, 4) else max(len(functions), 1)
    rows = math.ceil(len(functions) / columns)
    heights = [2.3, 2.1 * rows] if rows else [2.3]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    # Each part has margins of its own: what stands beside the one takes no room from the other.
    above, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_fitness(above.subplots(), search)
    for part in below:
        _draw_functions(part, part.subplots(rows, columns, squeeze=False).ravel(), functions, search)
    return figure


def _draw_fitness(axes: Axes, search: Search) -> None:
    at = np.array([each.number for each in search.generations])
    finite = [each.fitness[np.isfinite(each.fitness)] for each in search.generations]
    mean, deviation, best = (
        np.array([summary(members) if len(members) else np.nan for members in finite])
        for summary in (np.mean, np.std, np.max)
    )
    # A dot each where there are few, so that one that stands alone is seen.
    marker = "." if len(at) <= 30 else ""
    axes.plot(at, best, color=COLORS[2], linestyle=DASHES[1], marker=marker, label="best member")
    axes.plot(at, mean, color=COLORS[0], marker=marker, label="mean of the population")
    axes.fill_between(
        at, mean - deviation, mean + deviation, color="0.8", linewidth=1, label="± one standard deviation"
    )
    _mark_diverged(axes, search.generations)
    axes.set_title(search.name, parse_math=False)
    axes.set_xlabel("generation")
    axes.set_ylabel("fitness (mean return)")
    axes.set_xlim(at[0] - 0.5, at[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _mark_diverged(axes: Axes, generations: Sequence[Generation]) -> None:
    """Marks at the foot of the generations some of whose members are missing from the curves."""
    left_out = {each.number: int((~np.isfinite(each.fitness)).sum()) for each in generations}
    hit = [at for at, count in left_out.items() if count]
    if hit:
        members = sum(each.fitness.size for each in generations)
        axes.plot(
            hit,
            np.full(len(hit), 0.02),
            "|",
            color=ACCENT,
            markersize=5,
            transform=axes.get_xaxis_transform(),
            label=f"members that diverged,\nleft out ({sum(left_out.values())} of {members})",
        )


def _draw_functions(
    part: SubFigure, panels: Sequence[Axes], functions: Sequence[LearnedFunction], search: Search
) -> None:
    drawn = _some_of([(0, search.start), *((each.number, each.mean) for each in search.generations)])
    colors = _colors(drawn[-1][0])
    for axes, function in zip(panels, functions, strict=True):
        _draw_function(axes, function, drawn, colors)
    bar = part.colorbar(colors, ax=panels, label="generation", pad=0.02)
    bar.set_ticks([at for at, _ in drawn], labels=["start", *(str(at) for at, _ in drawn[1:])])


def _some_of(steps: list[tuple[int, Objective]]) -> list[tuple[int, Objective]]:
    """The first one, the last one, and some in between at equal distances."""
    return [steps[at] for at in np.unique(np.linspace(0, len(steps) - 1, CURVES).round().astype(int))]


def _colors(last: int) -> ScalarMappable:
    """Colours of the generations; the palest of the map are left out, which are hard to see on white."""
    shades = matplotlib.colormaps[COLOR_MAP](np.linspace(0, 0.9, 256))
    return ScalarMappable(Normalize(0, last), ListedColormap(shades))


def _draw_function(
    axes: Axes, function: LearnedFunction, drawn: Sequence[tuple[int, Objective]], colors: ScalarMappable
) -> None:
    arguments = np.linspace(*function.span, CURVE)
    curves = [function.values(objective, arguments) for _, objective in drawn]
    shades = colors.to_rgba(np.array([at for at, _ in drawn]))
    for (at, _), curve, shade in zip(drawn, curves, shades, strict=True):
        # The two that matter most differ from the others without their colours, too.
        look = {0: {"linestyle": DASHES[1], "zorder": 3}, drawn[-1][0]: {"linewidth": 2.4}}.get(at, {})
        axes.plot(arguments, np.ma.masked_invalid(curve), color=shade, **look)
    axes.set_xlim(function.span)
    axes.set_ylim(_limits(np.concatenate(curves)))
    axes.set_xlabel(function.argument)
    axes.set_ylabel(function.label)
    axes.spines[["top", "right"]].set_visible(False)


def _limits(values: Floats) -> tuple[float, float]:
    """Between which curves are seen: all of them, unless they are much steeper in places than elsewhere."""
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (5, 95))
    reach = high - low
    bottom, top = max(values.min(), low - reach), min(values.max(), high + reach)
    air = 0.04 * (top - bottom) or 0.5
    return bottom - air, top + air
