"""``mpobench show``: one cell, in full."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpobench.cli.reading import read
from mpobench.errors import RequestError
from mpobench.results.find import find_cell
from mpobench.values import leaves

if TYPE_CHECKING:
    from mpobench.results.cell_result import CellResult

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

_SAMPLES = 2


@app.command()
def show(
    *,
    cell: Annotated[
        str | None, typer.Argument(metavar="[CELL]", help="Key of the cell, or the beginning of it.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Results folder, or a published .jsonl file.")] = Path(
        "results"
    ),
    env: Annotated[str | None, typer.Option(help="Environment, as tables name it.")] = None,
    corruption: Annotated[str | None, typer.Option(help="Corruption, as tables name it.")] = None,
    objective: Annotated[str | None, typer.Option(help="Objective, as tables name it.")] = None,
    evaluator: Annotated[str | None, typer.Option(help="Evaluator, as tables name it.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the cell.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as it is stored.")] = False,
) -> None:
    """Show one cell: its numbers, curves, configuration and seconds, and how to make it again.

    \b
    Examples:
      mpobench show 002a94bd --results leaderboards/tla.jsonl
      mpobench show --objective dpo --corruption noisy:0.1 --seed 0
      mpobench show 002a94bd --results leaderboards/tla.jsonl --json
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    found = read(results).results
    wanted = {
        name: value
        for name, value in {
            "env": env,
            "corruption": corruption,
            "objective": objective,
            "evaluator": evaluator,
            "seed": seed,
        }.items()
        if value is not None
    }
    result = _chosen(found, cell, wanted, results)
    if as_json:
        typer.echo(result.to_json().decode())
        return
    _show(result, results)


def _chosen(found: list[CellResult], cell: str | None, wanted: dict[str, Any], place: Path) -> CellResult:
    if cell is None and not wanted:
        raise RequestError("no cell was named: give its key, or --objective, --corruption, --seed, …")
    fitting = [each for each in found if all(getattr(each, name) == value for name, value in wanted.items())]
    if cell is not None:
        return find_cell(fitting, cell, str(place))
    if len(fitting) == 1:
        return fitting[0]
    said = ", ".join(f"{name} {value}" for name, value in wanted.items())
    if not fitting:
        raise RequestError(f"{place} has no cell with {said}{_others(found, wanted)}")
    cells = "; ".join(f"{each.key[:10]} {_place(each)}" for each in fitting[:3])
    raise RequestError(f"{place} has {len(fitting)} cells with {said}: say more ({cells}, …)")


def _others(found: Iterable[CellResult], wanted: dict[str, Any]) -> str:
    """The values that there are for the first property that none of the cells has."""
    found = list(found)
    for name, value in wanted.items():
        there = sorted({getattr(each, name) for each in found})
        if value not in there:
            return f" (there is {name} {', '.join(map(str, there[:12]))})" if there else ""
    return ""


def _place(cell: CellResult) -> str:
    return f"{cell.objective} on {cell.env} {cell.corruption}, {cell.evaluator}, seed {cell.seed}"


def _show(cell: CellResult, results: Path) -> None:
    from mpobench.display.tables import print_table

    reason = f": {cell.reason}" if cell.reason else ""
    typer.echo(f"{cell.key}: {_place(cell)}, {cell.scale} scale\n{cell.status}{reason}")
    if cell.metrics:
        _heading("Metrics")
        unit = {cell.primary: cell.unit}
        print_table(
            ("metric", "value", "unit"),
            [(name, f"{value:.6g}", unit.get(name, "")) for name, value in cell.metrics.items()],
        )
    if cell.curves:
        _heading(f"Curves, {max(map(len, cell.curves.values()))} epochs")
        print_table(
            ("quantity", "first", "last", ""), [_curve(name, curve) for name, curve in cell.curves.items()]
        )
    for title, columns, numbers in (
        ("Time", ("part", "seconds"), cell.seconds),
        ("Data", ("property", "value"), cell.dataset),
    ):
        if numbers:
            _heading(title)
            print_table(columns, [(name, f"{value:.4g}") for name, value in numbers.items()])
    if cell.config:
        _heading("Configuration")
        print_table(("field", "value"), [(name, _text(value)) for name, value in leaves(cell.config)])
    for sample in cell.samples[:_SAMPLES]:
        _heading(f"An answer that earned {sample.score:.4g}")
        typer.echo(f"{sample.prompt}\n{sample.answer}")
    _heading("Made by")
    typer.echo(", ".join(f"{name} {version}" for name, version in cell.versions.items()) or cell.plugin)
    _heading("Again")
    for line in _commands(cell, results):
        typer.echo(line)


def _heading(title: str) -> None:
    typer.echo(f"\n{title}")


def _text(value: Any) -> str:
    from mpobench.results.differences import as_text

    return value if isinstance(value, str) else as_text(value)


def _curve(name: str, curve: list[Any]) -> tuple[str, str, str, str]:
    from mpobench.display.quantities import sparkline

    if not curve:
        return name, "", "", ""
    if any(isinstance(value, str) for value in curve):
        return name, str(curve[0]), str(curve[-1]), ""
    first, last = ("not finite" if value is None else f"{value:.5g}" for value in (curve[0], curve[-1]))
    return name, first, last, sparkline([math.nan if value is None else value for value in curve])


def _commands(cell: CellResult, results: Path) -> list[str]:
    """The commands that make the cell again, alone and with its row."""
    from mpobench.planning.command_line import run_arguments
    from mpobench.planning.recorded import Recorded
    from mpobench.registry.registry import get_registry
    from mpobench.verification.sample import COMPARED

    lines = []
    if cell.status in COMPARED:
        lines.append(shlex.join(["mpobench", "verify", str(results), "--cell", cell.key]))
    if not cell.config:
        return [f"it was skipped, and nothing was computed: {cell.reason}"]
    try:
        training = Recorded(get_registry()).training(cell)
    except RequestError as error:
        return [*lines, str(error)]
    return [*lines, shlex.join(["mpobench", *run_arguments(cell, training, get_registry())])]
