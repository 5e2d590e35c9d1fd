"""The loss of an objective over the margin between the two log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mpobench import Objective
from mpobench.display.pictures import WIDTH, curve_style, in_style, number
from mpobench.registry.build import Configured
from mpobench.registry.pair_plane import Circumstances, depends_on_progress, losses
from mpobench_plots.labels import in_lines

CURVE = 401
"""Number of points of a curve."""


@in_style
def loss_figure(
    objectives: Sequence[Configured[Objective]],
    span: tuple[float, float],
    rejected: float,
    progress: float,
    note: str = "",
) -> Figure:
    """One curve per objective: L over log π(τ_w) − log π(τ_l), where log π(τ_l) stays put.

    The reference gives both sides the probability of the rejected one, so that the margin is the margin of
    log-ratios too.

    Args:
        objectives: Objectives, at least one.
        span: Range of the margin, in nats per step.
        rejected: log π(τ_l), in nats per step.
        progress: Share of training that is done, for the objectives that read it.
        note: Line above the legend.
    """
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    margin = np.linspace(*span, CURVE)
    given = Circumstances((rejected, rejected), progress)
    curves = []
    for at, objective in enumerate(objectives):
        label = in_lines(objective.text, 30)
        if depends_on_progress(objective, rejected + margin, rejected):
            label += f"\nat progress {number(progress)}"
        values = losses(objective, rejected + margin, rejected, given)
        curves += axes.plot(margin, np.ma.masked_invalid(values), label=label, **curve_style(at))
    axes.axvline(0, color="0.6", linewidth=0.6, zorder=0)
    axes.set_xlim(span)
    axes.set_xlabel(
        rf"$\log\,\pi(\tau_w)-\log\,\pi(\tau_l)$ (nats per step), at $\log\,\pi(\tau_l)$ = {number(rejected)}"
    )
    axes.set_ylabel("loss of the pair, $L$")
    axes.spines[["top", "right"]].set_visible(False)
    # From top to bottom in the order in which the curves leave the axes: no label needs a second look.
    curves.sort(key=lambda curve: -np.asarray(curve.get_ydata(), float)[-1])
    legend = figure.legend(
        handles=curves,
        loc="outside right center",
        handlelength=4,
        title=note.replace(": ", ":\n"),
        title_fontsize=7,
        alignment="left",
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
