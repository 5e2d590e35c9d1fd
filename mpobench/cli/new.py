"""``mpobench new``: an installable plugin to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpobench.registry.registry import get_registry
from mpobench.scaffold.parts import NewKind, NewPlugin
from mpobench.scaffold.write import new_plugin, next_steps


def new(
    kind: Annotated[NewKind, typer.Argument(help="Kind of the component.")],
    name: Annotated[str, typer.Argument(help="Its name on the command line: my-loss.")],
    output: Annotated[Path | None, typer.Option(help="Folder to make. Default: ./mpobench-NAME.")] = None,
) -> None:
    """Write a plugin with one component, its tests and a README, ready to install.

    An environment comes with an evaluator of its policies, and an evaluator with an environment.

    \b
    Examples:
      mpobench new objective my-loss
      mpobench new corruption tired-judge --output plugins/tired-judge
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    plugin = NewPlugin(kind, name)
    folder = output or Path(plugin.distribution)
    for file in new_plugin(plugin, folder, get_registry()):
        typer.echo(file)
    typer.echo("\nNext:")
    for command in next_steps(plugin, folder):
        typer.echo(f"  {command}")
