"""``mpobench discover``: evolve an objective, simplify it, publish it."""

from __future__ import annotations

import typer

from mpobench_discovery.distil_command import distil
from mpobench_discovery.export_command import export

app = typer.Typer(rich_markup_mode=None, help="Evolve an objective; simplify it; publish it as a plugin.")
app.command()(distil)
app.command()(export)
