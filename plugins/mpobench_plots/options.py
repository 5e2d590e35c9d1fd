"""Options that several commands have, and the end of each: its picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from mpobench.display.pictures import rendered
from mpobench.files.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Results: TypeAlias = Annotated[
    Path, typer.Argument(help="Results folder of `mpobench run`, or a published .jsonl file.")
]
Rows: TypeAlias = Annotated[
    str | None, typer.Option(help="Objectives to draw, comma list of rows. Default: all.")
]
Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Picture to write, .png or .svg. Default: a .png here, named after what it shows."),
]


def write(figure: Figure, file: Path) -> None:
    """Writes a picture, and says where."""
    write_atomically(file, rendered(figure, file.suffix))
    typer.echo(file)
