"""The cards of this plugin."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench import CommandCard, hookimpl


@hookimpl
def mpobench_commands() -> Iterable[CommandCard]:
    """Pictures of objectives and of their results."""
    yield CommandCard(
        name="plot",
        summary="Draw objectives and results: gradients, losses, scores, profiles, rollouts",
        target="mpobench_plots.commands:app",
    )
