"""``mpobench tune``: tuned values for objectives, or go on with a tuning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpobench.cli.messages import say, warn
from mpobench.errors import RequestError
from mpobench.planning.overrides import overrides
from mpobench.planning.suite import Suite
from mpobench.registry.registry import get_registry
from mpobench.registry.specs import split_list

if TYPE_CHECKING:
    from mpobench.planning.tuned_file import TunedEntry
    from mpobench.tuning.tune import Tuned

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def tune(
    suite: Annotated[
        Path | None, typer.Argument(help="A suite file, all of whose rows are tuned; options win over it.")
    ] = None,
    envs: Annotated[
        str | None, typer.Option(help="Environments, comma list. Default: that of `mpobench run`.")
    ] = None,
    corruptions: Annotated[
        str | None, typer.Option(help="Dataset corruptions, comma list. Default: base.")
    ] = None,
    objectives: Annotated[
        str | None,
        typer.Option(help="Objectives to tune, comma list; fields that are stated stay as they are."),
    ] = None,
    evaluators: Annotated[
        str | None,
        typer.Option(
            help="Evaluator whose first metric is the score. Default: the suite's or environment's first."
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(help="smoke, quick or paper: the size of a trial's trainings. Default: quick."),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            help="Configurations to try for each objective on each dataset, a multiple of 8. Default: smoke 8, "
            "quick 24, paper 32."
        ),
    ] = None,
    rungs: Annotated[
        str | None,
        typer.Option(
            help="Tuning seeds of all trials, of the best third of each batch, of the best third of those. "
            "Default: smoke 1,2, quick 1,3,6, paper 1,3,9."
        ),
    ] = None,
    held_out: Annotated[
        int | None,
        typer.Option(
            help="Seeds on which what was found is measured; none is used in a trial. Default: smoke 2, quick 8, "
            "paper 10."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the proposals. Default: 0.")] = None,
    training: Annotated[
        list[str] | None,
        typer.Option(help="Set a field of the training configuration, which is then not tuned. Repeatable."),
    ] = None,
    everywhere: Annotated[
        bool,
        typer.Option(
            "--everywhere",
            help="Use what is found on every corruption for which the file has no entry of the objective. Tune on one "
            "corruption only.",
        ),
    ] = False,
    launcher: Annotated[str | None, typer.Option(help="Where trials run. Default: local.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Tasks at once. Default: what the launcher offers.")
    ] = None,
    cell_timeout: Annotated[
        float | None, typer.Option(help="Seconds that a training may take. Default: no limit.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the tuning. Default: tunings/ENVS-SCALE.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only show what would be searched, and how many trainings it takes."),
    ] = False,
) -> None:
    """Tune objectives: their fields and the learning rates, per environment and corruption, the same budget for all.

    Trials come from a tree-structured Parzen estimator, in batches of 8 that race: all train on one seed, the best
    third on more. The first trial is the defaults. Seeds are 1000 and up for trials, 2000 and up to measure what was
    found; no table reports them. Ranges are those that the objective's and the training's fields declare.

    The same command goes on where it stopped, and with more --trials where it ended. It leaves DIR/tuned.toml, which a
    suite names, and DIR/budget.json, the score of the best of 1, 2, 4, … trials.

    \b
    Examples:
      mpobench tune --objectives dpo --corruptions noisy:0.1 --dry-run
      mpobench tune --objectives dpo --corruptions noisy:0.1
      mpobench tune --objectives dpo,simpo,tampo:schedule=sigmoid --corruptions base,mixed --trials 64
      mpobench tune --objectives dpo,simpo --corruptions noisy:0.1 --everywhere
      mpobench tune leaderboards/tla.toml --output tunings/tla
      mpobench run leaderboards/tla.toml --tuned tunings/tla/tuned.toml
      mpobench plot tuning tunings/tla/budget.json
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    options: dict[str, Any] = {
        "envs": envs,
        "corruptions": corruptions,
        "objectives": objectives,
        "evaluators": evaluators,
        "scale": scale,
        "training": overrides(training),
        "launcher": launcher,
        "workers": workers,
        "cell_timeout": cell_timeout,
    }
    if suite is None and objectives is None:
        raise RequestError(
            "nothing to tune: add --objectives dpo,simpo or name a suite file (see 'mpobench objectives')"
        )
    if evaluators is not None and len(split_list(evaluators)) > 1:
        raise RequestError(f"--evaluators {evaluators}: the score is of one evaluator: name one")
    request = Suite.of(options, "tune") if suite is None else Suite.from_toml(suite, options)
    if everywhere and len(request.corruptions) > 1:
        raise RequestError(
            f"--everywhere is for one corruption, not for {', '.join(request.corruptions)}: add --corruptions "
            f"{request.corruptions[0]}"
        )
    budget = {"trials": trials, "rungs": _numbers(rungs), "held_out": held_out, "seed": seed}
    if dry_run:
        _show_plan(request, budget)
        return
    _show(_tune(request, budget, output, everywhere))


def _numbers(rungs: str | None) -> list[str] | None:
    return None if rungs is None else rungs.split(",")


def _tune(request: Suite, budget: dict[str, Any], output: Path | None, everywhere: bool) -> Tuned:
    from mpobench.tuning.settings import Tuning, default_folder
    from mpobench.tuning.tune import tune as carry_out

    registry = get_registry()
    envs = request.envs or (registry.default_env(),)
    folder = output or default_folder(envs, request.scale)
    tuning = Tuning.of(budget, request.scale)
    try:
        return carry_out(request, tuning, folder, registry, say, everywhere=everywhere)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"finished trainings are kept in {folder}, the same command goes on from here"
        ) from None


def _show_plan(request: Suite, budget: dict[str, Any]) -> None:
    from mpobench.display.tables import print_table
    from mpobench.tuning.search import expected_trainings
    from mpobench.tuning.settings import Tuning
    from mpobench.tuning.study import plan_studies

    tuning = Tuning.of(budget, request.scale)
    planned = plan_studies(request, tuning, get_registry())
    rows = [  # the same ones for all corruptions
        (study.objective.text, study.env.env.text, each.key, str(each.search), f"{each.default}")
        for study in planned.studies
        for each in study.space.dimensions
    ]
    print_table(("objective", "on", "field", "range", "default"), list(dict.fromkeys(rows)))
    for line in planned.skipped:
        say(line)
    count = len(planned.studies)
    say(f"{count} studies of {tuning.trials} trials: at most {expected_trainings(count, tuning):,} trainings")


def _show(tuned: Tuned) -> None:
    from mpobench.display.tables import print_table

    print_table(
        ("objective", "on", "defaults", "tuned", "values"),
        [
            (
                entry.objective,
                f"{entry.env} {entry.corruption}",
                _estimate(entry.default, entry.default_error),
                _estimate(entry.held_out, entry.held_out_error),
                _values(entry),
            )
            for entry in tuned.entries
        ],
    )
    for warning in tuned.warnings:
        warn(warning)
    say(f"means ± standard errors on held-out seeds. Tuned values: {tuned.file}, budgets: {tuned.budget}")


def _estimate(*numbers: float | None) -> str:
    return " ± ".join(f"{number:.5g}" for number in numbers if number is not None) or "diverged"


def _values(entry: TunedEntry) -> str:
    values = {**entry.fields, **entry.training}
    return ", ".join(f"{name}={value}" for name, value in values.items())
