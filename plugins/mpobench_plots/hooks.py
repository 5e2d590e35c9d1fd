"""The cards of this plugin."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench import CommandCard, hookimpl


@hookimpl
def mpobench_commands() -> Iterable[CommandCard]:
    """Pictures of objectives."""
    yield CommandCard(
        name="plot",
        summary="Draw objectives: their gradients, losses, and what tuning gains",
        target="mpobench_plots.commands:app",
    )
