"""``mpobench discover distil``: a network in a few numbers."""

from __future__ import annotations


def distil() -> None:
    """Not yet."""
