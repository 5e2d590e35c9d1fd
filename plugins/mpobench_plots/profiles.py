"""Performance profiles: the share of runs above every score.

References:
    Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS, §4.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mpobench.display.pictures import WIDTH, curve_style, in_style
from mpobench.leaderboard.profiles import Profile, profiles, thresholds_of
from mpobench.leaderboard.standings import Section

THRESHOLDS = 401
"""Number of points of a profile."""

MOST_BANDS = 6
"""Rows up to which a panel has bands: those of more would hide each other."""


@in_style
def profiles_figure(sections: Sequence[Section]) -> Figure:
    """One panel per table: the share of runs whose normalised score exceeds τ, with its pointwise 95 % band.

    Panels of more than ``MOST_BANDS`` rows have no bands. A row has the same look in all panels; the legend names rows
    in the order of their first table.

    Args:
        sections: Tables, at least one, each with rows that have a profile.
    """
    columns = min(len(sections), 2)
    lines = math.ceil(len(sections) / columns)
    figure = Figure(figsize=(WIDTH, 2.6 * lines + 0.4), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    curves: dict[str, Line2D] = {}
    looks: dict[str, int] = {}
    for axes, section in zip(panels, sections, strict=False):
        thresholds = thresholds_of(section, THRESHOLDS)
        for profile in profiles(section, thresholds):
            at = looks.setdefault(profile.row.label, len(looks))
            curve = _draw(axes, profile, thresholds, at, with_band=len(section.rows) <= MOST_BANDS)
            curves.setdefault(profile.row.label, curve)
        axes.set_title(f"{section.env}, {section.evaluator}, {section.scale} scale", parse_math=False)
        axes.set_xlim(thresholds[0], thresholds[-1])
        axes.set_ylim(0, 1)
        axes.set_xlabel(r"normalised score $\tau$ (0: original agent, 100: target agent)")
        axes.set_ylabel(r"share of runs above $\tau$")
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(sections) :]:
        axes.set_axis_off()
    legend = figure.legend(
        curves.values(), curves.keys(), loc="outside lower center", ncols=min(len(curves), 4), handlelength=4
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw(axes: Axes, profile: Profile, thresholds: np.ndarray, at: int, with_band: bool) -> Line2D:
    style = curve_style(at)
    (curve,) = axes.plot(thresholds, profile.shares, **style)
    if with_band and profile.low is not None:
        axes.fill_between(
            thresholds, profile.low, profile.high, color=style["color"], alpha=0.12, linewidth=0
        )
    return curve
