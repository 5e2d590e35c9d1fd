"""``mpobench diff``: what two results folders or files disagree on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpobench.cli.messages import say
from mpobench.cli.reading import read

if TYPE_CHECKING:
    from mpobench.results.cell_result import CellResult
    from mpobench.results.disagreements import Disagreements

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def diff(
    *,
    first: Annotated[Path, typer.Argument(metavar="A", help="Results folder, or a .jsonl file.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    tolerance: Annotated[
        float, typer.Option(min=0, help="Relative difference up to which two numbers are the same.")
    ] = 1e-6,
    most: Annotated[int, typer.Option(min=0, help="Lines of each table; 0 for all.")] = 20,
) -> None:
    """Show what two sets of results disagree on.

    Cells of one key with other outcomes come first; then places of the table (environment, corruption, objective,
    evaluator, scale, seed) that were run in other configurations, with the fields that differ; then what only one has.
    Curves, seconds and versions are not compared.

    \b
    Examples:
      mpobench diff results leaderboards/tla.jsonl
      mpobench diff before.jsonl after.jsonl --tolerance 0.01

    Exit code 0 if both agree, 1 if not, or if some of their results could not be read.
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    from mpobench.results.disagreements import disagreements

    ours, theirs = read(first), read(second)
    found = disagreements(ours.results, theirs.results, tolerance)
    damaged = ours.damaged + theirs.damaged
    _show(found, (str(first), str(second)), most, damaged)
    raise typer.Exit(int(damaged > 0 or not found.agree))


def _show(found: Disagreements, names: tuple[str, str], most: int, damaged: int) -> None:
    cells = len({each.first.key for each in found.outcomes})
    _table(
        f"{cells} cells with another outcome",
        ("cell", "of", "what", *names),
        [(each.first.key, _place(each.first), each.what, *each.values) for each in found.outcomes],
        most,
    )
    _table(
        "other configurations",
        ("cells", "field", *names),
        [(str(count), *what) for what, count in sorted(found.reconfigured.items())],
        most,
    )
    for name, only in zip(names, (found.only_first, found.only_second), strict=True):
        _table(f"{len(only)} cells only in {name}", ("cell", "of"), _rows(only), most)
    verdict = "they agree" if found.agree else "they disagree"
    verdict += f" in what could be read: {damaged} damaged results were not compared" if damaged else ""
    say(f"{found.same} cells are the same in both; {verdict}")


def _rows(cells: Sequence[CellResult]) -> list[tuple[str, ...]]:
    return [(each.key, _place(each)) for each in cells]


def _place(cell: CellResult) -> str:
    return f"{cell.objective} on {cell.env} {cell.corruption}, {cell.evaluator}, seed {cell.seed}"


def _table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]], most: int) -> None:
    from mpobench.display.tables import print_table

    if not rows:
        return
    typer.echo(f"{title}:")
    shown = rows[:most] if most else rows
    print_table(columns, shown)
    if len(shown) < len(rows):
        typer.echo(f"… and {len(rows) - len(shown)} more (--most 0 shows all)")
    typer.echo()
