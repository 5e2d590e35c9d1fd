"""Sizes and ages for people, and sparklines."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from mpobench.errors import RequestError

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BLOCKS = "▁▂▃▄▅▆▇█"


def size_text(size: float) -> str:
    """A size in bytes for people: ``1.2 GB``."""
    for unit, bytes_each in reversed(_UNITS.items()):
        if size >= bytes_each and unit != "B":
            return f"{size / bytes_each:.1f} {unit}"
    return f"{size:.0f} B"


def read_size(text: str) -> int:
    """The bytes of a size as people write it: ``5GB``, ``500 MB``, ``1.5G``.

    Raises:
        RequestError: If it is not of that form.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    if not match:
        raise RequestError(f"{text!r} is not a size: write 500MB or 5GB")
    return round(float(match[1]) * _UNITS[f"{match[2]}B"])


def sparkline(values: Sequence[float | None]) -> str:
    """A line of eight heights from the least to the greatest finite value; ``×`` for what is not finite."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return "×" * len(values)
    low, high = min(finite), max(finite)

    def block(value: float | None) -> str:
        if value is None or not math.isfinite(value):
            return "×"
        share = (value - low) / (high - low) if high > low else 0.0
        return _BLOCKS[min(int(share * len(_BLOCKS)), len(_BLOCKS) - 1)]

    return "".join(map(block, values))
