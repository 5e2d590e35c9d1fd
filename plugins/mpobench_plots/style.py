"""How pictures look, and how they become files.

Colours are those of Okabe and Ito, and viridis, which the colour-blind can tell apart; every curve differs from the
others by dashes and markers too, for print in grey.

References:
    Okabe, Ito (2008), Color Universal Design, https://jfly.uni-koeln.de/color.
    Smith, van der Walt (2015), A better default colormap for matplotlib, https://bids.github.io/colormap.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from mpobench.files.atomic import write_atomically

WIDTH = 6.75
"""Of a page's text, in inches."""

COLOR_MAP = "viridis"
ACCENT = "#D55E00"
COLORS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)))
MARKERS = ("", "o", "s", "^", "D", "v", "P", "X", "*")

_RC = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "svg.hashsalt": "mpobench",  # the same picture is the same file
}
in_style = style.context(["default", _RC])
"""Decorates what draws or saves: whatever the user's own matplotlib settings are."""


def curve_style(number: int) -> dict[str, Any]:
    """How the n-th of several curves looks: no two of the first 36 share dashes and markers."""
    return {
        "color": COLORS[number % len(COLORS)],
        "linestyle": DASHES[number % len(DASHES)],
        "marker": MARKERS[number // len(DASHES) % len(MARKERS)],
        "markevery": (0.06, 0.12),
        "markersize": 4,
    }


def in_lines(spec: str, width: int) -> str:
    """A spec over several lines, broken behind its colon and commas where it is longer than ``width``."""
    lines = [""]
    for piece in re.findall(r"[^,:]*[,:]|[^,:]+", spec):
        if lines[-1] and len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def number(value: float) -> str:
    """A number with a proper minus sign."""
    return f"{value:.3g}".replace("-", "−")


@in_style
def save(figure: Figure, file: Path) -> None:
    """Writes a picture, as PNG or SVG by its suffix, so that no reader ever sees half of it.

    Raises:
        RequestError: if the file cannot be written.
    """
    content = io.BytesIO()
    kind = file.suffix[1:].lower()
    figure.savefig(
        content,
        format=kind,
        dpi=220,
        bbox_inches="tight",
        pad_inches=0.04,
        metadata={"Date": None} if kind == "svg" else None,
    )
    write_atomically(file, content.getvalue())
