"""The first places where two configurations differ, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

ABSENT = object()
"""Stands for a value that one side does not have."""


def differences(first: Any, second: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The leaves of two JSON values that differ.

    Args:
        first: A JSON value; tuples count as lists.
        second: Another one.
        where: Path of both.

    Yields:
        Path (``training.epochs``) and the two values; :data:`ABSENT` for one that is not there.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        for name in dict.fromkeys([*first, *second]):
            inner = f"{where}.{name}" if where else str(name)
            yield from differences(first.get(name, ABSENT), second.get(name, ABSENT), inner)
    elif as_text(first) != as_text(second):
        yield where, first, second


def as_text(value: Any) -> str:
    """A JSON value as canonical text; ``nothing`` for one that is absent."""
    if value is ABSENT:
        return "nothing"
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
