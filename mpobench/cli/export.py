"""``mpobench export``: results as CSV or Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpobench.cli.messages import say
from mpobench.cli.reading import read

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def export(
    *,
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="Results folder, or a published .jsonl file.")
    ],
    output: Annotated[Path, typer.Option(help="File to write: .csv or .parquet.")],
    curves: Annotated[
        bool,
        typer.Option("--curves", help="Write one row an epoch of the trainings, in place of one a cell."),
    ] = False,
) -> None:
    """Write results as a table: one row a cell, with all numbers and the configuration.

    \b
    Examples:
      mpobench export leaderboards/tla.jsonl --output tla.csv
      mpobench export results --output results.parquet
      mpobench export results --output curves.csv --curves

    Columns are what the cell is, how it ended, its score, then metric.*, seconds.*, data.*, config.* and version.*. The
    same table in Python: mpobench.load("results").to_frame(). Parquet needs pip install 'mpobench[data]'. Exit code 1
    if a results file is damaged (the others are written).
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    from mpobench.results import frame

    found = read(results)
    rows = frame.curve_rows(found.results) if curves else frame.cell_rows(found.results)
    first = (*frame.IDENTITY, "epoch") if curves else (*frame.IDENTITY, *frame.OUTCOME)
    frame.write_table(rows, first, output)
    say(f"{len(rows)} rows in {output}")
    raise typer.Exit(int(found.damaged > 0))
