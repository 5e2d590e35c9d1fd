"""Score against budget: the best of the first k trials of a tuning, on held-out seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from mpobench.display.pictures import WIDTH, curve_style, in_style
from mpobench.tuning.budget_file import BudgetCurve
from mpobench_plots.labels import in_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
"""Panels beside each other, at most."""

SPREAD = 0.04
"""Distance of two objectives' points at one budget, in powers of two: their intervals would hide each other."""


@in_style
def tuning_figure(curves: Sequence[BudgetCurve]) -> Figure:
    """A panel for each environment and corruption, a curve in it for each objective.

    Args:
        curves: Curves, at least one.
    """
    panels = list(dict.fromkeys((curve.env, curve.corruption) for curve in curves))
    names = list(dict.fromkeys(curve.objective for curve in curves))
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(WIDTH, 2.4 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, [curve for curve in curves if (curve.env, curve.corruption) == panel], names)
        axes.set_title(" ".join(panel), parse_math=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel("trials, of which the best counts", fontsize="medium")
    lines = {line.get_label(): line for axes in grid.flat for line in axes.get_lines() if line.get_gid()}
    legend = figure.legend(
        handles=list(lines.values()),
        loc="outside right center",
        handlelength=4,
        title="mean and 95 % interval\non held-out seeds",
        title_fontsize=7,
        alignment="left",
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw(axes: Axes, curves: Sequence[BudgetCurve], names: Sequence[str]) -> None:
    """The curves of one panel. A budget whose best trial diverged on all held-out seeds leaves a gap."""
    for at, curve in enumerate(curves):
        shift = 2.0 ** (SPREAD * (at - (len(curves) - 1) / 2))
        budgets = np.array([point.trials * shift for point in curve.points])
        means, low, high = (
            np.array([math.nan if value is None else value for value in values])
            for values in zip(*((each.mean, each.low, each.high) for each in curve.points), strict=True)
        )
        style = curve_style(names.index(curve.objective))
        (line,) = axes.plot(budgets, means, label=in_lines(curve.objective, 30), **style)
        line.set_gid("curve")
        axes.vlines(budgets, low, high, colors=style["color"], linewidth=0.8, alpha=0.7)
    most = max(point.trials for curve in curves for point in curve.points)
    axes.set_xscale("log", base=2)
    axes.set_xticks([2**power for power in range(most.bit_length())])
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set_ylabel(curves[0].metric)
    axes.spines[["top", "right"]].set_visible(False)
