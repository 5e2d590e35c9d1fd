"""Objectives of a table: formula, paper, and the field of gradients over the two log-probabilities of a pair.

References:
    Alfano et al., Meta-Learning Objectives for Preference Optimization, Figure 6.
"""

from __future__ import annotations

import base64
import inspect
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np

from mpobench.errors import MpobenchError, SpecError
from mpobench.leaderboard.standings import Row, Section
from mpobench.planning.recorded import stated_fields
from mpobench.protocols import Objective, Tensors
from mpobench.registry.build import Configured
from mpobench.registry.fields import validated
from mpobench.registry.pair_plane import Circumstances, depends_on_progress, gradients
from mpobench.registry.paper_span import PAPER_SPAN
from mpobench.registry.registry import Registry
from mpobench_site.curve_data import logp_path
from mpobench_site.digits import short

CELLS = 64
"""Cells of the plane along each axis."""

ARROWS = 11
"""Arrows along each axis."""

_ROLE = re.compile(r":\w+:`~?(?:[\w.]+\.)?(\w+)`")


def field_data(section: Section, registry: Registry) -> dict[str, Any]:
    """What the page says of each row's objective.

    Args:
        section: Table.
        registry: Installed components; an objective that is not among them is shown without formula.
    """
    paths = [logp_path(section, at) for at in range(len(section.rows))]
    span = _span([value for path in paths for point in path for value in point])
    return {
        "span": span,
        "objectives": [
            _objective(section, row, path, span, registry)
            for row, path in zip(section.rows, paths, strict=True)
        ],
    }


def _span(values: list[float]) -> tuple[float, float]:
    """A range of both axes around most of the paths: where a policy begins or escapes to would hide where it learns.

    Where no curve says where policies are, it is the paper's.
    """
    if not values:
        return PAPER_SPAN
    low, high = np.quantile(values, [0.1, 0.9])
    air = 0.08 * max(high - low, 1.0)
    return math.floor(low - air), math.ceil(high + air)


def _objective(
    section: Section, row: Row, path: list[tuple[float, float]], span: tuple[float, float], registry: Registry
) -> dict[str, Any]:
    about: dict[str, Any] = {"label": row.label, "path": path}
    try:
        configured = _built(section, row, registry)
        about |= documented(configured)
        about |= {"fields": _fields(configured, path, span)}
    except MpobenchError as error:
        return {**about, "problem": str(error)}
    return about


def _built(section: Section, row: Row, registry: Registry) -> Configured[Objective]:
    """The objective with the numbers that its records state on the first column."""
    defaults: Any = None
    try:
        defaults = registry.build("env", section.env).component.objective_defaults
    except MpobenchError:  # not installed: the objective's own defaults
        defaults = {}
    built = registry.build("objective", row.objective, defaults)
    records = [
        result
        for column in section.columns
        if column in row.entries
        for result in row.entries[column].finished
    ]
    model = type(built.component)
    numbers = {
        name: value
        for name, value in (stated_fields(records[0]) if records else {}).items()
        if name in model.model_fields and not isinstance(getattr(built.component, name), Tensors)
    }
    made = validated(model, {**dict(built.component), **numbers}, f"the record of {row.objective}", SpecError)
    return replace(built, component=made)


def documented(configured: Configured[Objective]) -> dict[str, Any]:
    """Summary, formula, paper and fields of an objective, as ``mpobench objectives show`` has them."""
    card = configured.registered.card
    text = inspect.getdoc(type(configured.component)) or ""
    text = _ROLE.sub(r"\1", text).split("\nAttributes:\n")[0]
    text, _, references = text.partition("References:\n")
    return {
        "summary": card.summary,
        "citation": card.citation,
        "text": [" ".join(part.split()) for part in text.split("\n\n") if part.strip()],
        "references": " ".join(references.split()),
        "source": configured.registered.source,
        "values": {
            name: value
            for name, value in configured.component.model_dump(mode="json").items()
            if value is not None and not isinstance(getattr(configured.component, name), Tensors)
        },
    }


def _fields(
    configured: Configured[Objective], path: list[tuple[float, float]], span: tuple[float, float]
) -> list[dict[str, Any]]:
    """The field at half of the training; at its beginning, middle and end if it changes."""
    reference = _reference(path, span)
    corners = np.asarray(span)
    moments = (
        (0.1, 0.5, 0.9) if depends_on_progress(configured, corners[None, :], corners[:, None]) else (0.5,)
    )
    return [
        {
            "progress": progress if len(moments) > 1 else None,
            "reference": [short(value, 4) for value in reference]
            if configured.component.needs_reference
            else None,
            **_field(configured, span, Circumstances(reference, progress)),
        }
        for progress in moments
    ]


def _reference(path: list[tuple[float, float]], span: tuple[float, float]) -> tuple[float, float]:
    """Log-probabilities of the reference: near the end of the path, where cloning has brought the policy."""
    if path:
        return path[max(0, len(path) - 3)]
    middle = sum(span) / 2
    return middle, middle


def _field(
    configured: Configured[Objective], span: tuple[float, float], given: Circumstances
) -> dict[str, Any]:
    """|∂L/∂log π(τ_w)| in 256 steps, the first row at the top; and the direction in which a small step goes down."""
    low, high = span
    centres = low + (np.arange(CELLS) + 0.5) * (high - low) / CELLS
    size = np.abs(gradients(configured, centres[None, :], centres[::-1, None], given)[0])
    finite = size[np.isfinite(size)]
    most = float(np.quantile(finite, 0.995)) if finite.size else 0.0
    scaled = np.nan_to_num(255 * np.clip(size / (most or 1.0), 0, 1), nan=0.0).round().astype(np.uint8)
    at = low + (np.arange(ARROWS) + 0.5) * (high - low) / ARROWS
    down = [-part for part in gradients(configured, at[None, :], at[:, None], given)]
    angles = np.degrees(np.arctan2(down[1], down[0]))
    still = ~(np.isfinite(angles) & (np.hypot(*down) > 1e-4 * (most or 1.0)))
    return {
        "most": short(most, 3),
        "grid": base64.b64encode(scaled.tobytes()).decode(),
        "angles": [None if none else round(float(a)) for a, none in zip(angles.ravel(), still.ravel(), strict=True)],
    }  # fmt: skip
