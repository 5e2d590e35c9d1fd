"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench import CommandCard, hookimpl


@hookimpl
def mpobench_commands() -> Iterable[CommandCard]:
    """Pictures of objectives."""
    yield CommandCard(
        name="plot",
        summary="Draw objectives: gradients, losses, and the search that found one",
        target="mpobench_plots.commands:app",
    )
