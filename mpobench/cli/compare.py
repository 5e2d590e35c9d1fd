"""``mpobench compare``: results beside the paper's tables, and its claims decided."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpobench.cli.reading import read
from mpobench.comparison.compare import compare
from mpobench.comparison.comparison_page import TITLE, comparison_page
from mpobench.comparison.reference import reference
from mpobench.files.atomic import write_atomically

if TYPE_CHECKING:
    from mpobench.results.cell_result import CellResult

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(name="compare")
def compare_command(
    *,
    results: Annotated[
        list[Path] | None,
        typer.Option(
            help="Results folder of `mpobench run`, or a published .jsonl file; several times for several. "
            "Default: results."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Markdown file to write, in place of printing it.")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = TITLE,
) -> None:
    """Compare results with the paper's, and decide its claims on both.

    For each environment, evaluator and scale: rank correlations per column
    with 95 % intervals, the largest disagreements, the paper's eight claims
    (holds, fails, undecided, or not run) with its numbers and with ours, and
    the returns side by side. An environment is the paper's by its name,
    whatever its fields.

    \b
    Examples:
      mpobench compare --results leaderboards/tla.jsonl
      mpobench compare --results tla.jsonl --results more --output page.md

    Exit code 1 if a results file is damaged (the others are compared).
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    found = read(*(results or [Path("results")]))
    once: dict[str, CellResult] = {}
    for each in found.results:
        once.setdefault(each.key, each)  # a cell may be published twice: the first counts
    paper = reference()
    page = comparison_page(compare(once.values(), paper), paper, " ".join(title.split()))
    if output:
        write_atomically(output, page.encode())
    else:
        sys.stdout.write(page)
    raise typer.Exit(code=int(found.damaged > 0))
