"""``mpobench clean``: remove what was not used for long from the cache."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpobench.cli.messages import say
from mpobench.errors import RequestError

if TYPE_CHECKING:
    from mpobench.files.cleaning import Entry

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

_DEFAULT_DAYS = 30.0


@app.command()
def clean(
    *,
    older_than: Annotated[
        float | None,
        typer.Option(min=0, metavar="DAYS", help="Remove what was not used for so many days. Default: 30."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Remove the longest unused until no more than this is left: 5GB."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Look at this folder of the cache alone: rollouts. Repeatable."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
) -> None:
    """Remove old files from the cache, after saying what goes.

    The cache ($MPOBENCH_CACHE, or ~/.cache/mpobench) has what runs share: rollouts, SFT stages, answers, compiled
    programs. All of it can be made again, at the price of the time that it took. Results are elsewhere, and stay.

    \b
    Examples:
      mpobench clean --dry-run
      mpobench clean --older-than 7
      mpobench clean --keep 5GB --yes
      mpobench clean --only xla --older-than 0

    Nothing is removed while a run or a search uses the cache, and no file whose lock a process holds. Exit code 1 if
    the cache is in use, or files were held.
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    from mpobench.display.quantities import read_size, size_text
    from mpobench.files import cleaning
    from mpobench.files.cache import cache_folder

    cache, limit = cache_folder(), None if keep is None else read_size(keep)
    found = cleaning.entries(cache)
    if only:
        kinds = sorted({entry.kind for entry in found})
        if unknown := sorted(set(only) - set(kinds)):
            raise RequestError(f"{cache} has no {unknown[0]!r} (there are: {', '.join(kinds) or 'none'})")
        found = [entry for entry in found if entry.kind in only]
    days = _DEFAULT_DAYS if older_than is None and keep is None else older_than
    going = cleaning.chosen(found, days, limit)
    _show(cache, found, going)
    if dry_run or not going:
        return
    cleaning.check_cache_tag(cache, not os.environ.get("MPOBENCH_CACHE"))
    size = size_text(sum(entry.size for entry in going))
    if not yes and not _agreed(f"Remove {len(going)} of {len(found)} entries, {size}?"):
        say("nothing was removed")
        return
    done = cleaning.remove(cache, going)
    say(f"{len(done.removed)} entries are gone, {size_text(sum(entry.size for entry in done.removed))}")
    for entry in done.held:
        say(f"{entry.path} is held by a process, and stays")
    raise typer.Exit(int(bool(done.held)))


def _agreed(question: str) -> bool:
    if not _is_there_somebody():
        raise RequestError(f"{question} There is nobody to ask: say --yes, or --dry-run")
    return typer.confirm(question, err=True)


def _is_there_somebody() -> bool:
    return sys.stdin.isatty()


def _show(cache: Path, found: Sequence[Entry], going: Sequence[Entry]) -> None:
    from mpobench.display.quantities import size_text
    from mpobench.display.tables import print_table

    if not found:
        say(f"{cache} is empty")
        return
    rows = []
    for kind in sorted({entry.kind for entry in found}):
        own = [entry for entry in found if entry.kind == kind]
        gone = [entry for entry in going if entry.kind == kind]
        sizes = [size_text(sum(entry.size for entry in part)) for part in (own, gone)]
        rows.append((kind, str(len(own)), sizes[0], _age(own), str(len(gone)), sizes[1], _age(gone)))
    print_table(("in the cache", "entries", "size", "unused for", "go", "size", "unused for"), rows)
    say(f"{cache} has {size_text(sum(entry.size for entry in found))} of it, in {len(found)} entries")


def _age(part: Sequence[Entry]) -> str:
    """The times since the last use of the newest and the oldest entry, in days."""
    if not part:
        return ""
    days = [max(time.time() - entry.used, 0.0) / 86_400 for entry in part]
    return f"{min(days):.0f} to {max(days):.0f} days"
