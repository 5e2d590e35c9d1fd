"""``mpobench status``: what is done, what runs, what failed, and how long the rest takes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpobench.cli.messages import warn
from mpobench.display.progress import duration
from mpobench.errors import RequestError
from mpobench.results.store import ResultFileError, ResultStore

if TYPE_CHECKING:
    from mpobench.results.counts import Counts
    from mpobench.results.run_notes import FoundNote

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

_FAILURES = 10


@app.command()
def status(
    *,
    suite: Annotated[
        Path | None, typer.Argument(metavar="[SUITE]", help="Suite file, to know what is still missing.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Results folder. Default: the suite's, or results.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Show how far a run is: also one that goes on in another process, or on another machine.

    Without a suite it tells what is in the results folder, and of the runs that write into it what they have left.

    \b
    Examples:
      mpobench status
      mpobench status leaderboards/tla.toml --results results
      watch mpobench status --results results

    Exit code 0, whatever failed; `mpobench run` tells that by its own.
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    from mpobench.results.counts import counts
    from mpobench.results.run_notes import read_notes

    planned, folder = _planned(suite, results)
    damaged: list[ResultFileError] = []
    if planned is None and not folder.is_dir():
        raise RequestError(
            f"no results at {folder}: make some with `mpobench run`, or name another --results"
        )
    found = counts(ResultStore(folder).load_all(damaged.append), planned)
    notes = read_notes(folder)
    if as_json:
        typer.echo(json.dumps(_as_json(found, notes, damaged), indent=2, ensure_ascii=False))
        return
    _show(folder, found)
    for error in damaged:
        warn(error)
    for each in notes:
        _show_run(each)
    if not any(each.alive for each in notes):
        _show_rest(found)


def _planned(suite: Path | None, results: Path | None) -> tuple[dict[str, tuple[str, str]] | None, Path]:
    """Environment and corruption of each planned cell, by key, if there is a suite, and the results folder."""
    if suite is None:
        return None, results or Path("results")
    from mpobench.api import planned
    from mpobench.planning.suite import Suite

    request = Suite.from_toml(suite, {"results": results})
    return {cell.key: (cell.env, cell.corruption) for cell in planned(request).cells}, request.results


def _show(folder: Path, found: Counts) -> None:
    from mpobench.display.tables import print_table
    from mpobench.results.counts import STATUSES

    def row(*names: str, counted: Any) -> tuple[str, ...]:
        return (*names, *(str(counted[status] or "") for status in STATUSES))

    rows = [row(*place, counted=counted) for place, counted in sorted(found.columns.items())]
    if len(rows) > 1:
        rows.append(row("all", "", counted=found.total))
    if rows:
        print_table(("environment", "corruption", *STATUSES), rows)
    else:
        typer.echo(f"{folder} has no results yet")
    for line in found.failures[:_FAILURES]:
        typer.echo(line)
    if len(found.failures) > _FAILURES:
        typer.echo(f"… and {len(found.failures) - _FAILURES} more that failed or diverged")


def _show_run(each: FoundNote) -> None:
    from mpobench.display.tables import print_table

    note, now = each.note, time.time()
    who = f"The run of process {note.pid} on {note.host}"
    done = note.reused + sum(note.ran.values())
    if not each.alive:
        typer.echo(
            f"\n{who} was ended {duration(now - note.written)} ago, after {done} of {note.cells} cells"
        )
        typer.echo("The same command goes on from there.")
        return
    workers = "" if note.workers is None else f", {note.workers} workers"
    typer.echo(f"\n{who} goes on for {duration(now - note.began)}: {done} of {note.cells} cells{workers}")
    print_table(
        ("phase", "done", "time left"),
        [
            (
                phase.name,
                f"{100 * phase.fraction:.0f} %",
                _left(phase.eta, phase.fraction, now - note.written),
            )
            for phase in note.phases
        ],
    )
    if note.running:
        typer.echo()
        print_table(
            ("worker", "task", "phase", "done", "for"),
            [
                (
                    task.worker,
                    task.what,
                    task.phase,
                    f"{100 * task.fraction:.0f} %" if task.phase else "",
                    duration(now - task.began),
                )
                for task in note.running
            ],
        )


def _left(eta: float | None, fraction: float, age: float) -> str:
    if fraction >= 1:
        return ""
    return "not known yet" if eta is None else duration(max(eta - age, 0.0))


def _show_rest(found: Counts) -> None:
    missing = found.total["missing"]
    if not missing:
        return
    how_long = "" if found.seconds is None else f", about {duration(found.seconds)} of one worker's time"
    typer.echo(f"\nNothing runs; {missing} cells are missing{how_long}")


def _as_json(found: Counts, notes: list[FoundNote], damaged: list[ResultFileError]) -> dict[str, Any]:
    return {
        "cells": dict(found.total),
        "columns": [
            {"env": env, "corruption": corruption, **counted}
            for (env, corruption), counted in sorted(found.columns.items())
        ],
        "failures": found.failures,
        "damaged": [error.problem for error in damaged],
        "seconds_missing": found.seconds,
        "runs": [{**each.note.model_dump(mode="json"), "alive": each.alive} for each in notes],
    }
