"""``mpobench leaderboard``: rebuild a leaderboard from results, or check that a page still matches them."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from mpobench.cli.messages import say, warn
from mpobench.cli.reading import read
from mpobench.errors import RequestError
from mpobench.files.atomic import write_atomically
from mpobench.leaderboard.best_sets import BestRule
from mpobench.leaderboard.page import TITLE, Leaderboard
from mpobench.planning.tuned_file import TunedFile
from mpobench.results.store import jsonl

_DIFF_LINES = 40

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def leaderboard(
    *,
    results: Annotated[
        Path, typer.Option(help="Results folder of `mpobench run`, or a published .jsonl file.")
    ] = Path("results"),
    output: Annotated[
        Path | None, typer.Option(help="Markdown file to write, in place of printing it.")
    ] = None,
    publish: Annotated[
        Path | None,
        typer.Option("--jsonl", help="Write the results themselves, one a line, to publish them."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail unless the files match the results exactly.")
    ] = False,
    best: Annotated[
        BestRule,
        typer.Option(
            help="Which objectives of a column are bold: all that are not significantly worse than the best mean, or, "
            "as in the paper, the two best if their intervals overlap."
        ),
    ] = "significance",
    title: Annotated[str, typer.Option(help="Heading of the page.")] = TITLE,
    reproduce: Annotated[
        str, typer.Option(help="How to make these results again: markdown, placed below the heading.")
    ] = "",
    tuned: Annotated[
        list[Path] | None,
        typer.Option(
            help="File of tuned values of the run: a table whose cells were trained with them says so. Repeatable."
        ),
    ] = None,
) -> None:
    """Rebuild a leaderboard from results.

    Publish a page with its results, and later prove with --check that it still matches them. A page of a run that was
    given --tuned says which values are tuned, and how, if it is given the same file.

    \b
    Examples:
      mpobench leaderboard
      mpobench leaderboard --output tla.md --jsonl tla.jsonl
      mpobench leaderboard --results tla.jsonl --output tla.md --check
      mpobench leaderboard --results tla.jsonl --tuned tla.tuned.toml

    Exit code 1 if a results file is damaged (the others are shown) or --check finds a difference.
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    found = read(results)
    tunings = [entry for file in tuned or () for entry in TunedFile.read(file).tuned]
    board = Leaderboard.of(found.results, tunings)
    if tuned and not board.tuned:
        listed = ", ".join(map(str, tuned))
        warn(f"no cell of {results} was trained with the values of {listed}")
    page = board.markdown(title, reproduce, best)
    files = {}
    if output:
        files[output] = page.encode()
    if publish:
        files[publish] = jsonl(found.results)
    failed = found.damaged > 0
    if check:
        if not files:
            raise RequestError("--check needs a file to compare: add --output FILE.md or --jsonl FILE.jsonl")
        differing = [path for path, content in files.items() if not _matches(path, content, results)]
        failed = failed or bool(differing)
    else:
        for path, content in files.items():
            write_atomically(path, content)
        if not output:
            sys.stdout.write(page)
    raise typer.Exit(code=int(failed))


def _matches(path: Path, wanted: bytes, results: Path) -> bool:
    """Whether a file holds exactly these bytes; says on stderr where it does not."""
    try:
        actual = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RequestError(f"cannot read {path}: {reason}; write it without --check") from error
    if actual == wanted:
        return True
    say(f"{path} does not match {results}: write it again without --check")
    old, new = (text.decode(errors="replace").split("\n") for text in (actual, wanted))
    diff = list(difflib.unified_diff(old, new, str(path), "from the results", lineterm="", n=1))
    for line in diff[:_DIFF_LINES]:
        typer.echo(line[:200], err=True)
    if len(diff) > _DIFF_LINES:
        typer.echo(f"... and {len(diff) - _DIFF_LINES} more lines", err=True)
    return False
