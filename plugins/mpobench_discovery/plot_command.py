"""``mpobench discover plot``: the picture of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpobench.display.pictures import picture_file, rendered, require_matplotlib
from mpobench.files.atomic import write_atomically
from mpobench.registry.paper_span import PAPER_SPAN


def plot(
    folder: Annotated[Path, typer.Argument(help="Folder of a search, finished or not.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(help="Picture to write, .png or .svg. Default: a .png here, named after the folder."),
    ] = None,
) -> None:
    """Draw a search: its fitness, and the change of the functions that it learns.

    Above, the fitness over the generations. Below, each learned function at the start, at the end, and at some
    generations in between: φ⁻¹ and ψ over log π(τ), g over the margin, α over the training.

    \b
    Example:
      mpobench discover plot discoveries/tla-noisy-0.3-1s-mpo-quick
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    file = picture_file(output, f"discovery-{folder.resolve().name}")
    require_matplotlib()
    from mpobench_discovery.figure import history_figure
    from mpobench_discovery.history import read_history

    write_atomically(file, rendered(history_figure(read_history(folder), PAPER_SPAN), file.suffix))
    typer.echo(file)
