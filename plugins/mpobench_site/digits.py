"""Numbers in few digits: what a page shows and draws, at a fraction of the size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mpobench.leaderboard.statistics import Interval


def short(value: float | None, digits: int = 5) -> float | int | None:
    """A number in a few significant digits; None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded


def shorts(values: Iterable[Any], digits: int = 4) -> list[float | int | None]:
    """Several numbers, likewise."""
    return [short(None if value is None else float(value), digits) for value in values]


def ends(interval: Interval | None) -> list[float | int | None]:
    """Low and high end of an interval; two Nones without one."""
    return [None, None] if interval is None else [short(interval.low), short(interval.high)]
