"""The cards of this plugin."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench import CommandCard, hookimpl


@hookimpl
def mpobench_commands() -> Iterable[CommandCard]:
    """The site of leaderboards."""
    yield CommandCard(
        name="site",
        summary="Make a static site of leaderboards: tables, plots, gradient fields, rollouts",
        target="mpobench_site.commands:app",
    )
