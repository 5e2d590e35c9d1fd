"""``mpobench run``: carry out a suite, print its leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mpobench.cli import EXIT_REQUEST
from mpobench.cli.messages import say, warn
from mpobench.errors import PluginError, RequestError
from mpobench.planning.overrides import overrides
from mpobench.planning.suite import Suite
from mpobench.protocols import CLEAN
from mpobench.registry.registry import get_registry

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


def _default_env() -> str:
    try:
        return get_registry().default_env()
    except PluginError:
        return "none"


@app.command()
def run(
    context: typer.Context,
    suite: Annotated[Path | None, typer.Argument(help="A suite file; options win over it.")] = None,
    envs: Annotated[
        str | None, typer.Option(help=f"Environments, comma list. Default: {_default_env()}.")
    ] = None,
    corruptions: Annotated[
        str | None, typer.Option(help=f"Dataset corruptions, comma list; + composes. Default: {CLEAN}.")
    ] = None,
    objectives: Annotated[str | None, typer.Option(help="Objectives to compare, comma list.")] = None,
    evaluators: Annotated[
        str | None, typer.Option(help="Evaluators, comma list. Default: each environment's own.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="smoke (seconds), quick (minutes) or paper. Default: quick.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Seeds 0..N-1. Default: smoke 1, quick 3, paper 25.")
    ] = None,
    training: Annotated[
        list[str] | None,
        typer.Option(help="Override the training configuration: po_learning_rate=3e-5. Repeatable."),
    ] = None,
    tuned: Annotated[
        Path | None, typer.Option(help="File of tuned values, made by mpobench tune. Default: none.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Folder of the results. Default: results.")] = None,
    launcher: Annotated[
        str | None,
        typer.Option(help="Where cells run: local, dask, dask:address=tcp://HOST:8786. Default: local."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Tasks at once. Default: what the launcher offers.")
    ] = None,
    cell_timeout: Annotated[
        float | None,
        typer.Option(help="Seconds that a task may take; then its cells fail. Default: no limit."),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            help="Trackers that show curves and scores of each cell, comma list: tensorboard, tensorboard:DIR, wandb, "
            "mlflow. Default: none."
        ),
    ] = None,
    rerun: Annotated[
        str | None,
        typer.Option(help="Which cells to run although they have a result: missing (none), errors or all."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the leaderboard.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run.")] = False,
) -> None:
    """Run a suite and print its leaderboard.

    Fields of an objective come after a colon; corruptions compose with +. Everything can be said in a file, and a
    stopped run goes on when it is given again. Trackers (see mpobench trackers) show its curves while it goes on.

    \b
    Examples:
      mpobench run --objectives dpo,orpo,tampo --corruptions noisy:0.1
      mpobench run --objectives dpo:beta=0.2,ipo --corruptions mixed+noisy:0.1
      mpobench run --objectives tampo:schedule=sigmoid,gamma=2 --seeds 5
      mpobench run leaderboards/tla.toml --workers 2
      mpobench run leaderboards/tla.toml --log tensorboard
      tensorboard --logdir results/tensorboard

    Results are in DIR/cells, one JSON file per cell, the leaderboard is DIR/leaderboard.md. Exit code 1 if some
    cell failed or diverged (the others are kept), 2 for a request that cannot be carried out: also where that is
    seen in the run only, for all cells.
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    options: dict[str, Any] = {
        "envs": envs,
        "corruptions": corruptions,
        "objectives": objectives,
        "evaluators": evaluators,
        "scale": scale,
        "seeds": seeds,
        "training": overrides(training),
        "tuned": tuned,
        "results": results,
        "launcher": launcher,
        "workers": workers,
        "cell_timeout": cell_timeout,
        "log": log,
        "rerun": rerun,
        "title": title,
    }
    if suite is None and objectives is None:
        raise RequestError(
            "nothing to compare: add --objectives dpo,orpo or name a suite file (see 'mpobench objectives')"
        )
    request = Suite.of(options, "run") if suite is None else Suite.from_toml(suite, options)
    if dry_run:
        _show_plan(request)
        return
    debug = bool(context.find_root().params.get("debug"))
    raise typer.Exit(_run(request, debug))


def _show_plan(suite: Suite) -> None:
    from mpobench.api import missing, planned, refusals

    expanded = planned(suite)
    for line in expanded.notes:
        warn(line)
    for cell in expanded.cells:
        skipped = f"  skipped: {cell.skip}" if cell.skip else ""
        typer.echo(f"{cell.env}  {cell.corruption}  {cell.objective}  seed {cell.seed}  {cell.key}{skipped}")
    for line in refusals(expanded, suite):
        warn(f"the run would be refused: {line}")
    left = missing(expanded.cells, suite.results)
    typer.echo(
        f"{len(expanded.cells)} cells, {len(expanded.trainings)} trainings, {left} without a result", err=True
    )


def _run(suite: Suite, debug: bool) -> int:
    from mpobench.api import run_suite

    try:
        done = run_suite(suite, warn)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("finished cells are kept, the same command goes on from here") from None
    typer.echo(done.leaderboard.terminal(), nl=False)
    for warning in (*done.outcome.replaced, *done.outcome.ungrouped, *done.damaged):
        warn(warning)
    for line in dict.fromkeys(done.outcome.failures):  # once, however many evaluators wait for a training
        say(line)
    if debug:
        for trace in dict.fromkeys(done.outcome.traces):
            typer.echo(trace, err=True)
    typer.echo(
        f"{done.outcome.planned} cells: ran {done.outcome.counts}; {done.outcome.reused} were there before. "
        f"Leaderboard: {suite.results / 'leaderboard.md'}",
        err=True,
    )
    if done.outcome.failures:
        typer.echo("run failed cells again with --rerun errors; --debug shows tracebacks", err=True)
    if done.outcome.refused and done.outcome.refused == done.outcome.ran.total():
        return EXIT_REQUEST
    return 1 if done.outcome.failures or done.damaged else 0
