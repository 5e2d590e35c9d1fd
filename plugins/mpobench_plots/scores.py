"""Scores with intervals: the tables of a leaderboard as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mpobench.display.pictures import COLORS, MARKERS, WIDTH, in_style
from mpobench.leaderboard.scores import score
from mpobench.leaderboard.standings import Section
from mpobench_plots.labels import in_lines

LINE = 0.085
"""Height of a score, in inches."""


@in_style
def scores_figure(sections: Sequence[Section]) -> Figure:
    """One panel per table: a line per objective, best mean at the top, a mean with its 95 % interval per corruption.

    A dagger marks a mean over the seeds that finished, where others did not.

    Args:
        sections: Tables, at least one, each with a finished cell.
    """
    heights = [len(section.rows) * (len(section.columns) + 1) * LINE for section in sections]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.75 * len(sections)), layout="constrained")
    panels = figure.subplots(len(sections), 1, squeeze=False, height_ratios=heights).ravel()
    for axes, section in zip(panels, sections, strict=True):
        _draw(axes, section)
    return figure


def _draw(axes: Axes, section: Section) -> None:
    sign = -1.0 if section.higher_is_better else 1.0
    found = [
        [score(section, row.entries[column]) if column in row.entries else None for column in section.columns]
        for row in section.rows
    ]
    means = [[quantity.value for quantity in line if quantity] for line in found]
    order = sorted(range(len(found)), key=lambda at: sign * fmean(means[at]) if means[at] else np.inf)
    step = 1 / (len(section.columns) + 1)
    for place, column in enumerate(section.columns):
        color, marker = COLORS[place % len(COLORS)], MARKERS[1:][place % (len(MARKERS) - 1)]
        drawn = [(line, found[at][place]) for line, at in enumerate(order)]
        for line, quantity in drawn:
            if quantity is None:
                continue
            y = line + step * (place + 1)
            if quantity.interval:
                axes.plot([quantity.interval.low, quantity.interval.high], [y, y], color=color)
            if section.rows[order[line]].entries[column].unfinished:
                axes.annotate("†", (quantity.value, y), (3, 1), textcoords="offset points", fontsize=6)
            named = column if line == next(at for at, one in drawn if one) else "_"
            axes.plot([quantity.value], [y], marker, color=color, markersize=4, label=named)
    for line in range(1, len(order)):
        axes.axhline(line, color="0.85", linewidth=0.5)
    axes.set_ylim(len(order), 0)
    axes.set_yticks(
        [line + 0.5 for line in range(len(order))],
        [in_lines(section.rows[at].label, 30) for at in order],
        parse_math=False,
    )
    axes.tick_params(axis="y", length=0)
    survivors = any(
        entry.unfinished for row in section.rows for entry in row.entries.values() if entry.finished
    )
    note = "; † some seeds did not finish, and are not in it" if survivors else ""
    axes.set_xlabel(f"{section.metric}: mean and 95 % interval{note}", parse_math=False)
    axes.set_title(f"{section.env}, {section.evaluator}, {section.scale} scale", parse_math=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for text in legend.get_texts():
        text.set_parse_math(False)
