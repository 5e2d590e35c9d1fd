"""``mpobench discover``: evolve an objective, draw the search, simplify its result, publish it."""

from __future__ import annotations

import typer

from mpobench_discovery.distil_command import distil
from mpobench_discovery.export_command import export
from mpobench_discovery.plot_command import plot
from mpobench_discovery.search_command import discover

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
app.callback()(discover)
app.command()(plot)
app.command()(distil)
app.command()(export)
