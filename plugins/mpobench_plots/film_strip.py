"""Films as strips of pictures: rows of frames, drawn without a graphics card.

Spheres and capsules are round from every side, so that a thick line with round ends, in an orthographic view, is what a
camera would see; nearer bodies hide those behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mpobench.display.pictures import WIDTH, in_style
from mpobench.env_kit.films import Film, Shape

Floats: TypeAlias = NDArray[np.float64]

FRAMES = 7
"""Frames of a row."""

AZIMUTH, ELEVATION = math.radians(-60), math.radians(18)
"""Direction from which the camera looks: it turns about the vertical, and looks down."""

_GROUND = "0.93"

_TALL = 0.8
"""Height of a frame, in its widths."""

_LEFT, _TITLE = 0.03, 0.17
"""Room for names, a share of the width, and for what stands above a row, in inches."""

_POINT = 1e-4
"""Length of what has none, in metres: lines of no length are not drawn."""


@in_style
def film_strip(films: Mapping[str, Film], frames: int = FRAMES) -> Figure:
    """A row for each film, from its first frame to its last, with the return until each.

    Args:
        films: Films by name, at least one.
        frames: Pictures in a row.
    """
    span = 1.3 * max(_extent(film) for film in films.values())
    height = max(float(np.asarray(film.positions)[..., 2].max()) for film in films.values())
    side = WIDTH * (1 - _LEFT) / frames
    figure = Figure(figsize=(WIDTH, (_TALL * side + _TITLE) * len(films)))
    grid = figure.subplots(len(films), frames, squeeze=False)
    figure.subplots_adjust(
        left=_LEFT,
        right=1,
        bottom=0,
        top=1 - _TITLE / figure.get_figheight(),
        wspace=0.03,
        hspace=_TITLE / (_TALL * side),
    )
    for axes_row, (name, film) in zip(grid, films.items(), strict=True):
        shown = np.linspace(0, len(film.positions) - 1, frames).round().astype(int)
        for axes, frame in zip(axes_row, shown, strict=True):
            _draw(axes, film, frame, span, height, side)
            said = f"{frame * film.frame_seconds:.1f} s: {film.earned[frame]:z.0f}".replace("-", "−")
            axes.set_title(said, fontsize=6.5, pad=2)
        axes_row[0].text(
            -0.06,
            0.5,
            name,
            rotation=90,
            ha="right",
            va="center",
            fontsize=7,
            transform=axes_row[0].transAxes,
            parse_math=False,
        )
    return figure


def _draw(axes: Axes, film: Film, frame: int, span: float, height: float, side: float) -> None:
    """One frame, seen from the camera, which follows the first link along the ground."""
    positions, rotations = np.asarray(film.positions[frame]), np.asarray(film.rotations[frame])
    centre = np.array([*positions[0][:2], height / 2])
    axes.set_xlim(-span / 2, span / 2)
    axes.set_ylim(-_TALL / 2 * span, _TALL / 2 * span)
    axes.set_facecolor(_GROUND)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    points_per_metre = 72 * side / span
    _ground(axes, centre, span)
    bodies = [_ends(shape, positions, rotations) for shape in film.shapes if shape.kind != "plane"]
    shapes = [shape for shape in film.shapes if shape.kind != "plane"]
    for ends, shape in zip(bodies, shapes, strict=True):  # shadows first: they lie below everything
        flat = _seen(ends * np.array([1, 1, 0]), centre)
        axes.plot(
            *flat.T[:2], color="0.8", linewidth=2 * shape.size[0] * points_per_metre, solid_capstyle="round"
        )
    seen = [(_seen(ends, centre), shape) for ends, shape in zip(bodies, shapes, strict=True)]
    for ends, shape in sorted(seen, key=lambda pair: float(pair[0][:, 2].mean())):
        width = 2 * shape.size[0] * points_per_metre
        light = np.clip(0.85 + 0.35 * ends[:, 2].mean() / span, 0.55, 1.0)
        axes.plot(*ends.T[:2], color="0.2", linewidth=width + 0.9, solid_capstyle="round")
        color = to_hex(np.clip(np.asarray(shape.color) * light, 0, 1).tolist())
        axes.plot(*ends.T[:2], color=color, linewidth=width, solid_capstyle="round")


def _ground(axes: Axes, centre: Floats, span: float) -> None:
    """Lines of the ground at whole metres, which stay where they are while the camera moves."""
    reach = 2.5 * span
    first, last = np.floor(centre[:2] - reach), np.ceil(centre[:2] + reach)
    for axis in (0, 1):
        for at in np.arange(first[axis], last[axis] + 1):
            line = np.array([[*first, 0.0], [*last, 0.0]])
            line[:, axis] = at
            axes.plot(*_seen(line, centre).T[:2], color="white", linewidth=0.7, zorder=0.5)


def _ends(shape: Shape, positions: Floats, rotations: Floats) -> Floats:
    """The two ends ``(2, 3)`` of a shape's axis in the world; those of a sphere or a box are its centre."""
    half = shape.size[1] if shape.kind in ("capsule", "cylinder") else _POINT
    axis = _turn(np.asarray(shape.rotation), np.array([[0, 0, -half], [0, 0, half]]))
    own = np.asarray(shape.position) + axis
    if shape.link < 0:
        return own
    moved: Floats = positions[shape.link] + _turn(rotations[shape.link], own)
    return moved


def _turn(rotation: Floats, vectors: Floats) -> Floats:
    """Vectors ``(n, 3)`` turned by a unit quaternion (w, x, y, z)."""
    w, xyz = rotation[0], rotation[1:]
    across = 2 * np.cross(xyz, vectors)
    turned: Floats = vectors + w * across + np.cross(xyz, across)
    return turned


def _seen(points: Floats, centre: Floats) -> Floats:
    """Right, up and towards the camera of points ``(n, 3)``."""
    cos, sin = math.cos(AZIMUTH), math.sin(AZIMUTH)
    down, level = math.sin(ELEVATION), math.cos(ELEVATION)
    right = np.array([-sin, cos, 0.0])
    near = np.array([cos * level, sin * level, down])
    up = np.cross(near, right)
    view: Floats = (points - centre) @ np.stack([right, up, near]).T
    return view


def _extent(film: Film) -> float:
    """Width of the largest body, in metres, over all frames."""
    positions = np.asarray(film.positions)
    reach = max(sum(shape.size[:2]) for shape in film.shapes if shape.kind != "plane")
    return float(np.ptp(positions, axis=1).max()) + 2 * reach
