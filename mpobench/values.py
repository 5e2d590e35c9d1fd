"""Plain values of configurations: numbers, texts, lists and dicts of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def without_negative_zero(value: Any) -> Any:
    """The value with 0.0 in place of -0.0, inside lists, tuples and dicts too.

    Both are the same number, and JSON writes them differently: without this, equal work would have two content keys.
    """
    if isinstance(value, float):
        return 0.0 if value == 0 else value
    if type(value) is dict:
        return {without_negative_zero(key): without_negative_zero(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(without_negative_zero, value))
    return value


def leaves(config: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a nested configuration by dotted name: ``training.epochs``. An empty dict is a value."""
    for name, value in config.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{parent}{name}.")
        else:
            yield f"{parent}{name}", value
