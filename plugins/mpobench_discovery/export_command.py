"""``mpobench discover export``: an objective file as a package that anyone can install."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    file: Annotated[Path, typer.Argument(metavar="OBJECTIVE.json", help="Objective file to publish.")],
    output: Annotated[
        Path | None, typer.Option(help="Folder to write, new or empty. Default: the package's name, here.")
    ] = None,
    package: Annotated[
        str | None,
        typer.Option(help="Name of the distribution. Default: mpobench- and the objective's name."),
    ] = None,
) -> None:
    """Write a package that anyone can install, with the objective in it.

    \b
    Examples:
      mpobench discover export ./found/objective.json
      mpobench discover export ./found/objective.json --package mpobench-robust --output ./robust
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    from mpobench_discovery.export import export as write_package

    written = write_package(file, output, package)
    typer.echo(written.folder)
    typer.echo(
        f"install it with pip, and {written.objective!r} is among the objectives; see {written.folder / 'README.md'}",
        err=True,
    )
