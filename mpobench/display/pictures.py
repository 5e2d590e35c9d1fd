"""The style of pictures, and their file formats. matplotlib, an optional dependency, is imported on first use.

Colours are those of Okabe and Ito, and viridis, which the colour-blind can tell apart; curves also differ in dashes and
markers, for print in grey.

References:
    Okabe, Ito (2008), Color Universal Design, https://jfly.uni-koeln.de/color.
    Smith, van der Walt (2015), A better default colormap for matplotlib, https://bids.github.io/colormap.
"""

from __future__ import annotations

import functools
import importlib.util
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mpobench.errors import RequestError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 6.75
"""Width of a page's text, in inches."""

COLOR_MAP = "viridis"
ACCENT = "#D55E00"
COLORS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)))
MARKERS = ("", "o", "s", "^", "D", "v", "P", "X", "*")

SUFFIXES = (".png", ".svg")

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

P = ParamSpec("P")
R = TypeVar("R")


def in_style(draw: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function that draws or saves: the user's own matplotlib settings do not count in it."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> R:
        from matplotlib import style

        with style.context(["default", _RC]):
            return draw(*args, **kwargs)

    return styled


def curve_style(number: int) -> dict[str, Any]:
    """Keywords of ``Axes.plot`` for the n-th of several curves: no two of the first 36 share dashes and markers."""
    return {
        "color": COLORS[number % len(COLORS)],
        "linestyle": DASHES[number % len(DASHES)],
        "marker": MARKERS[number // len(DASHES) % len(MARKERS)],
        "markevery": (0.06, 0.12),
        "markersize": 4,
    }


def number(value: float) -> str:
    """A number with a proper minus sign."""
    return f"{value:.3g}".replace("-", "−")


def require_matplotlib() -> None:
    """Checks that matplotlib is installed.

    Raises:
        RequestError: If it is not, with the command that installs it.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise RequestError('pictures need matplotlib: pip install "mpobench[plots]"')


def picture_file(output: Path | None, name: str) -> Path:
    """Path of a picture: ``output``, or a .png of that name in the working folder.

    Raises:
        RequestError: If the suffix is neither .png nor .svg.
    """
    if output is None:
        return Path(f"{name}.png")
    if output.suffix.lower() not in SUFFIXES:
        raise RequestError(f"--output {output}: pictures are {' or '.join(SUFFIXES)}, choose one of the two")
    return output


@in_style
def rendered(figure: Figure, suffix: str) -> bytes:
    """The content of a picture's file.

    Args:
        figure: Figure.
        suffix: ``.png`` or ``.svg``, in capitals or not.
    """
    content = io.BytesIO()
    kind = suffix[1:].lower()
    figure.savefig(
        content,
        format=kind,
        dpi=220,
        bbox_inches="tight",
        pad_inches=0.04,
        metadata={"Date": None} if kind == "svg" else None,
    )
    return content.getvalue()
