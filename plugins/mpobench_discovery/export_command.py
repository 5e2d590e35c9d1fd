"""``mpobench discover export``: an objective file as a package that anyone can install."""

from __future__ import annotations


def export() -> None:
    """Not yet."""
