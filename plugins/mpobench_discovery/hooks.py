"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench import CommandCard, hookimpl


@hookimpl
def mpobench_commands() -> Iterable[CommandCard]:
    """The search, and what becomes of what it finds."""
    yield CommandCard(
        name="discover",
        summary="Evolve an objective; simplify it; publish it as a plugin",
        target="mpobench_discovery.commands:app",
    )
