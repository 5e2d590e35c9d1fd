"""From the record of a cell to what a tracker shows of it."""

from __future__ import annotations

import hashlib
import math
from itertools import groupby
from pathlib import Path
from typing import Any

from mpobench.protocols import TrackedCell
from mpobench.results.cell_result import CellResult
from mpobench.results.differences import as_text
from mpobench.results.frame import IDENTITY
from mpobench.values import leaves


def tracked_cell(result: CellResult, results: Path) -> TrackedCell:
    """A record in a tracker's terms, with its secrets redacted.

    Args:
        result: Record of a cell.
        results: Folder that it is in, for the command that shows it.
    """
    config = result.model_dump(mode="json", include={"config"})["config"]  # without secrets
    named = {name: getattr(result, name) for name in (*IDENTITY, "status")}
    return TrackedCell(
        key=result.key,
        digest=hashlib.sha256(result.to_json()).hexdigest()[:16],
        group=(result.env, result.corruption, result.objective, result.evaluator),
        seed=result.seed,
        status=result.status,
        curves={
            f"curves/{name}": points for name, curve in result.curves.items() if (points := _points(curve))
        },
        numbers=_numbers(result),
        config={
            name: _plain(value)
            for name, value in {
                **named,
                **{f"config.{name}": value for name, value in leaves(config)},
            }.items()
            if value not in (None, {})
        },
        text=_text(result, results),
    )


def _points(curve: list[Any]) -> list[tuple[int, float]]:
    """The finite numbers of a curve with their epochs."""
    return [
        (epoch, float(value))
        for epoch, value in enumerate(curve, start=1)
        if isinstance(value, int | float) and math.isfinite(value)
    ]


def _numbers(result: CellResult) -> dict[str, float]:
    first = [result.primary] if result.primary else []
    metrics = {name: result.metrics[name] for name in dict.fromkeys([*first, *result.metrics])}
    groups = (("metrics", metrics), ("seconds", result.seconds), ("data", result.dataset))
    return {f"{group}/{name}": value for group, values in groups for name, value in values.items()}


def _plain(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else as_text(value)


def _text(result: CellResult, results: Path) -> str:
    """Status, reason, stages, versions, and where to read more, a paragraph each."""
    said = {
        "status": f"{result.status}: {result.reason}" if result.reason else result.status,
        "stages": ", ".join(
            f"{len(list(epochs))} epochs of {stage}"
            for stage, epochs in groupby(result.curves.get("stage", []))
        ),
        "versions": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
        "in full": f"`mpobench show {result.key[:10]} --results {results}`",
    }
    return "\n\n".join(f"**{what}** {text}" for what, text in said.items() if text)
