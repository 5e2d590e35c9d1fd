"""Over-optimization: the distance from the reference policy over the epochs, and the true reward at the end.

References:
    Gao, Schulman, Hilton (2022), Scaling Laws for Reward Model Overoptimization, arXiv:2210.10760 (reward over KL).
    Rafailov et al. (2024), Scaling Laws for Reward Model Overoptimization in Direct Alignment Algorithms,
    arXiv:2406.02900.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mpobench.display.pictures import WIDTH, curve_style, in_style
from mpobench_plots.curve_tables import KL, CurveTable, TrainingCurves
from mpobench_plots.labels import in_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
"""Panels beside each other."""

PANELS = (
    {"log_ratio_chosen": r"$\log\,\pi/\pi_{\mathrm{ref}}$, chosen", "logp_chosen": r"$\log\,\pi$, chosen"},
    {
        "log_ratio_rejected": r"$\log\,\pi/\pi_{\mathrm{ref}}$, rejected",
        "logp_rejected": r"$\log\,\pi$, rejected",
    },
    {
        "chosen_fell": "share of pairs whose\nchosen side fell",
        "accuracy": "share of pairs whose\nchosen side leads",
    },
)
"""Quantities of the first panels, with labels. Of each, the first that is there: older results lack it."""

SHARES = ("chosen_fell", "accuracy")

KL_LABEL = r"$\mathrm{KL}(\pi\,\|\,\pi_{\mathrm{ref}})$, own behaviour"


@in_style
def curves_figure(tables: Sequence[CurveTable]) -> Figure:
    """Two lines of panels for each table. A row has the same look in all panels.

    Over the epochs: log π/π_ref of the chosen and of the rejected side, the share of pairs whose chosen side became
    less probable, and KL on the policy's own behaviour. Then the true reward at the end, with its standard error, and
    the same over KL.

    Args:
        tables: Tables, at least one.
    """
    figure = Figure(figsize=(WIDTH, 4.0 * len(tables) + 0.5), layout="constrained")
    blocks = figure.subfigures(len(tables), 1, squeeze=False)[:, 0]
    looks = {name: at for at, name in enumerate(dict.fromkeys(row.name for t in tables for row in t.rows))}
    handles: dict[str, Any] = {}
    for block, table in zip(blocks, tables, strict=True):
        section = table.section
        block.suptitle(
            f"{section.env}, {table.corruption}, {section.evaluator}, {section.scale} scale", parse_math=False
        )
        panels = block.subplots(2, COLUMNS).ravel()
        for axes, quantities in zip(panels, PANELS, strict=False):
            drawn = next((q for q in quantities if any(row.known(q) for row in table.rows)), None)
            handles |= _over_epochs(axes, table, drawn, quantities.get(drawn or "", ""), looks)
        handles |= _over_epochs(panels[3], table, KL, KL_LABEL, looks)
        _rewards(panels[4], table, looks)
        _reward_over_divergence(panels[5], table, looks)
    legend = figure.legend(
        [handles[name] for name in looks if name in handles],
        [in_lines(name, 40) for name in looks if name in handles],
        loc="outside lower center",
        ncols=4,
        handlelength=4,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _style(at: int) -> dict[str, Any]:
    """A look with a marker at every epoch: a second stage may have a single one."""
    style = curve_style(at)
    return {**style, "marker": style["marker"] or "o", "markersize": 3, "markevery": 1, "linewidth": 1.1}


def _over_epochs(
    axes: Axes, table: CurveTable, quantity: str | None, label: str, looks: dict[str, int]
) -> dict[str, Any]:
    handles = {}
    for row in table.rows:
        style = _style(looks[row.name])
        values = row.by_quantity.get(quantity or "", [])
        if quantity == KL and not row.known(KL) and math.isfinite(row.divergence):
            epochs = max(map(len, row.by_quantity.values()))
            values = [math.nan] * (epochs - 1) + [row.divergence]
        if any(map(math.isfinite, values)):
            (handles[row.name],) = axes.plot(range(1, len(values) + 1), values, **style)
    axes.set_title(label)
    if not handles:
        axes.text(0.5, 0.5, "not in these results", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return {}
    if quantity and quantity.startswith("log_ratio"):
        axes.axhline(0, color="0.7", linewidth=0.6, zorder=0)
    if quantity in SHARES:
        axes.set_ylim(-0.03, 1.03)
    if quantity not in SHARES:
        axes.set_ylabel("nats per step or token")
    axes.set_xlabel("epoch")
    axes.set_xlim(0.6, max(len(values) for row in table.rows for values in row.by_quantity.values()) + 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    return handles


def _rewards(axes: Axes, table: CurveTable, looks: dict[str, int]) -> None:
    """A level for each row, the best on top, with its number."""
    rows = sorted(table.rows, key=lambda row: row.reward.mean, reverse=not table.section.higher_is_better)
    for place, row in enumerate(rows):
        _point(axes, row, row.reward.mean, place, looks, xerr=row.reward.standard_error)
        beside: dict[str, Any] = {"va": "center", "fontsize": 6, "transform": axes.get_yaxis_transform()}
        axes.text(1.02, place, f"{row.reward.mean:.4g}".replace("-", "−"), **beside)
    axes.set_yticks([])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_title("true reward at the end")
    axes.set_xlabel(_metric(table), parse_math=False)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _reward_over_divergence(axes: Axes, table: CurveTable, looks: dict[str, int]) -> None:
    """Where a policy has gone, and what it got for it."""
    rows = [row for row in table.rows if math.isfinite(row.divergence)]
    if not rows:
        axes.set_visible(False)
        return
    for row in rows:
        _point(axes, row, row.divergence, row.reward.mean, looks, yerr=row.reward.standard_error)
    axes.set_title("true reward over KL")
    axes.set_xlabel("KL at the end, nats per step or token")
    axes.set_ylabel(_metric(table), parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)


def _point(axes: Axes, row: TrainingCurves, x: float, y: float, looks: dict[str, int], **error: Any) -> None:
    style = _style(looks[row.name])
    axes.errorbar(x, y, color=style["color"], marker=style["marker"], markersize=4, linewidth=0.8, **error)


def _metric(table: CurveTable) -> str:
    section = table.section
    return section.metric if section.unit in ("", section.metric) else f"{section.metric} ({section.unit})"
