"""The gradient of an objective over the plane of the two log-probabilities.

References:
    Alfano et al., Meta-Learning Objectives for Preference Optimization, Figure 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from mpobench import Objective
from mpobench.display.pictures import ACCENT, COLOR_MAP, WIDTH, in_style, number
from mpobench.registry.build import Configured
from mpobench.registry.pair_plane import Circumstances, depends_on_progress, slopes
from mpobench_plots.labels import in_lines
from mpobench_plots.pairs import Points

CELLS = 160
"""Number of cells of the plane along each axis."""

CHOSEN, REJECTED = r"$\log\,\pi(\tau_w)$", r"$\log\,\pi(\tau_l)$"
SLOPE = r"$|\partial L\,/\,\partial\log\,\pi(\tau_w)|$"
_OUTLINE = [patheffects.withStroke(linewidth=2.2, foreground="black")]


@in_style
def gradient_figure(
    objectives: Sequence[Configured[Objective]],
    span: tuple[float, float],
    given: Circumstances,
    points: Points | None = None,
    note: str = "",
) -> Figure:
    """One panel per objective: |∂L/∂log π(τ_w)| as colour, the pairs of a dataset on top.

    Each panel has its own scale, which begins at 0: dark is where the loss does not move the policy. What is
    compared is where an objective pushes; how hard is a matter of the learning rate too.

    Args:
        objectives: Objectives, at least one.
        span: Range of both axes, in nats per step.
        given: Reference and progress, for the objectives that read them.
        points: Points to draw on top.
        note: Line below the panels.
    """
    columns = min(len(objectives), 2 if len(objectives) in (2, 4) else 3)
    rows = math.ceil(len(objectives) / columns)
    side = WIDTH / max(columns, 2)
    figure = Figure(figsize=(side * columns, 0.9 * side * rows + 0.5), layout="compressed")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for at, (axes, objective) in enumerate(zip(panels, objectives, strict=False)):
        image = _panel(axes, objective, span, given, points, title_width=22 if columns > 2 else 34)
        # Of the panel's own height, whatever the layout makes of that.
        bar = figure.colorbar(image, cax=axes.inset_axes((1.04, 0, 0.06, 1)))
        if at % columns == columns - 1 or at == len(objectives) - 1:
            bar.set_label(SLOPE)
        if at % columns == 0:
            axes.set_ylabel(f"{REJECTED} (nats per step)")
        if at + columns >= len(objectives):
            axes.set_xlabel(f"{CHOSEN} (nats per step)")
            axes.tick_params(labelbottom=True)
    for axes in panels[len(objectives) :]:
        axes.set_axis_off()
    marks = {
        label: mark for axes in panels for mark, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        marks.values(),
        marks.keys(),
        loc="outside lower center",
        ncols=len(marks) if columns > 1 else 1,
        title=note,
        title_fontsize=7,
    )
    return figure


def _panel(
    axes: Axes,
    objective: Configured[Objective],
    span: tuple[float, float],
    given: Circumstances,
    points: Points | None,
    title_width: int,
) -> AxesImage:
    low, high = span
    edges = np.linspace(low, high, CELLS + 1)
    centres = (edges[1:] + edges[:-1]) / 2
    values = slopes(objective, centres[None, :], centres[:, None], given)
    image = axes.imshow(
        np.ma.masked_invalid(values), cmap=COLOR_MAP, origin="lower", extent=(low, high, low, high), vmin=0
    )
    equal = f"{CHOSEN} = {REJECTED}"
    axes.plot(span, span, color="white", linestyle="--", linewidth=1, path_effects=_OUTLINE, label=equal)
    if points is not None:
        axes.scatter(
            points.chosen,
            points.rejected,
            s=7,
            color="white",
            edgecolors="black",
            linewidths=0.4,
            label=points.label(span),
        )
    if objective.component.needs_reference:
        x, y = given.reference
        at = f"reference ({number(x)}, {number(y)})"
        axes.plot(x, y, "X", color=ACCENT, markeredgecolor="black", markersize=7, label=at)
    corners = np.asarray(span)
    title = in_lines(objective.text, title_width)
    if depends_on_progress(objective, corners[None, :], corners[:, None]):
        title += f"\nat progress {number(given.progress)}"
    axes.set_title(title, parse_math=False)
    axes.set_xlim(span)
    axes.set_ylim(span)
    return image
