"""``mpobench verify``: check the keys of published results, and make some of their cells again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpobench.cli.messages import say, warn
from mpobench.errors import RequestError
from mpobench.results.store import read_results

if TYPE_CHECKING:
    from mpobench.results.cell_result import CellResult
    from mpobench.running.workplace import Workplace
    from mpobench.verification.tolerance import Deviation
    from mpobench.verification.verify import Reproduction, Verification

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def verify(
    *,
    results: Annotated[
        Path, typer.Argument(metavar="FILE", help="Published .jsonl file, or a results folder.")
    ],
    sample: Annotated[
        int, typer.Option(min=0, help="Cells to make again, chosen by chance; 0 checks the keys only.")
    ] = 5,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the choice. Default: a new one, which is printed.")
    ] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(help="Make this cell again, by its key or the beginning of it. Repeatable."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="Share of a published number that it may be off.")
    ] = 0.05,
    objective_file: Annotated[
        list[Path] | None,
        typer.Option(help="Objective file of a row that is named after one. Repeatable."),
    ] = None,
    launcher: Annotated[str, typer.Option(help="Where cells run.")] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Tasks at once. Default: what the launcher offers.")
    ] = None,
    cell_timeout: Annotated[
        float | None, typer.Option(help="Seconds that a task may take. Default: no limit.")
    ] = None,
) -> None:
    """Check published results: their keys, and randomly chosen cells, which are made again.

    The keys and names of all records have to follow from their configurations; else the file is refused. The cells of
    the sample are computed from their recorded configurations, with the plugins that are installed here, and each
    of their metrics is compared with the published one. On the machine and the versions that made it, it is the same
    number. Elsewhere rounding differs, and long rollouts are chaotic: a metric passes if it is off by at most 5 % or
    by three standard deviations over the other seeds of its row, whichever is more (below five, pooled over the rows
    of its column); metrics that nothing is ranked by may be off by twice that. The mean deviation of n cells may be
    1/√n of it, so that a large sample also finds numbers that are a little too good.

    \b
    Examples:
      mpobench verify leaderboards/tla.jsonl --sample 5
      mpobench verify leaderboards/tla.jsonl --sample 0
      mpobench verify leaderboards/tla.jsonl --cell 002a94bd
      mpobench verify results --sample 2 --seed 7

    Ctrl-C keeps what is finished; the same cells (--seed) go on from there. Exit code 0 if all cells pass, 1 if one
    differs, 2 if the file is refused or a cell cannot be made again here.
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    from mpobench.verification.sample import named, refuse_false_keys, sampled

    found = read_results(results)
    if not found:
        raise RequestError(f"no results in {results}: name a .jsonl file or a results folder that has some")
    refuse_false_keys(found, str(results))
    skipped = sum(each.status == "skipped" for each in found)
    exempt = f" ({skipped} skipped cells have none)" if skipped else ""
    say(f"{results}: the keys of {len(found) - skipped} cells follow from their configurations{exempt}")
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    chosen = named(found, cell, str(results)) if cell else sampled(found, sample, seed)
    if not chosen:
        return
    if not cell:
        say(f"making {len(chosen)} of them again; --seed {seed} chooses the same")
    done = _verify(
        found, chosen, _workplace(launcher, workers, cell_timeout), objective_file or [], tolerance
    )
    _show(done, tolerance)
    raise typer.Exit(0 if done.passes else 1)


def _workplace(launcher: str, workers: int | None, cell_timeout: float | None) -> Workplace:
    from mpobench.files.cache import cache_folder
    from mpobench.registry.registry import get_registry
    from mpobench.running.workplace import Workplace

    built = get_registry().build("launcher", launcher).component
    return Workplace(built, cache_folder(), workers, cell_timeout)


def _verify(
    found: list[CellResult],
    chosen: list[CellResult],
    workplace: Workplace,
    files: list[Path],
    tolerance: float,
) -> Verification:
    from mpobench.registry.objective_files import read_objective_card
    from mpobench.registry.registry import get_registry
    from mpobench.verification.verify import verify as carry_out

    by_name = {read_objective_card(path).name: path for path in files}
    try:
        return carry_out(found, chosen, get_registry(), workplace, files=by_name, relative=tolerance)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "finished cells are kept, verifying the same cells goes on from here"
        ) from None


def _show(done: Verification, tolerance: float) -> None:
    from mpobench.display.tables import print_table
    from mpobench.verification.tolerance import DEVIATIONS

    rows = [row for reproduction in done.reproductions for row in _rows(reproduction)]
    print_table(("cell", "of", "metric", "published", "here", "off by", "allowed", "verdict"), rows)
    for line in (*done.outcome.replaced, *done.outcome.ungrouped):
        warn(line)
    count = f"{done.confirmed} of {len(done.reproductions)} cells are confirmed"
    say(f"{count}; allowed are {100 * tolerance:g} % or {DEVIATIONS:g} standard deviations over seeds")
    if done.bias is not None:
        verdict = "" if abs(done.bias) <= done.most_bias else ": the published numbers differ as a whole"
        say(
            f"primary metrics are off by {done.bias:+.2f} of that on average, "
            f"where ±{done.most_bias:.2f} is allowed{verdict}"
        )


def _rows(made: Reproduction) -> list[tuple[str, ...]]:
    """The primary metric of a cell, and each other one that is not allowed."""
    cell = made.published
    place = f"{cell.objective} on {cell.env} {cell.corruption}, seed {cell.seed}"
    if not made.deviations:
        ended = made.problem or f"{cell.status}, as published"
        return [(cell.key, place, "", "", "", "", "", f"differs: {ended}" if made.problem else ended)]
    return [
        (cell.key, place, each.metric, *_numbers(each), _judgement(each))
        for each in made.deviations
        if each.metric == cell.primary or not each.passes
    ]


def _numbers(each: Deviation) -> tuple[str, ...]:
    published, here = ("none" if value is None else f"{value:.6g}" for value in (each.published, each.here))
    return published, here, f"{each.difference:+.3g}", f"{each.allowed:.3g}"


def _judgement(each: Deviation) -> str:
    if each.same:
        return "same"
    return "close" if each.passes else "differs"
