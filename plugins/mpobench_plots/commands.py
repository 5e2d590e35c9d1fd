"""``mpobench plot``: pictures of objectives and of their results."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from mpobench import Objective, RequestError, Workspace
from mpobench.display.pictures import picture_file, rendered, require_matplotlib
from mpobench.env_kit.films import FILM_SECONDS, HasFilms
from mpobench.files.atomic import write_atomically
from mpobench.files.cache import cache_folder, in_use
from mpobench.planning.env_plan import plan_training
from mpobench.protocols import Scale
from mpobench.registry.build import Configured
from mpobench.registry.registry import get_registry
from mpobench.registry.specs import split_list

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mpobench.planning.cells import Training

PAPER_SPAN = (-14.0, -8.0)
"""Range of log π(τ) on the Three-Legged Ant, the axes of the paper's Figure 6, in nats per step."""

app = typer.Typer(
    help="Draw objectives (gradients, losses) and results (scores, profiles, curves, tuning, rollouts).",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Specs: TypeAlias = Annotated[
    list[str], typer.Argument(help="Objectives, with their fields if need be: orpo simpo:beta=5")
]
EnvName: TypeAlias = Annotated[
    str, typer.Option(help="Environment whose defaults the fields of objectives have.")
]
Results: TypeAlias = Annotated[
    Path, typer.Argument(help="Results folder of `mpobench run`, or a published .jsonl file.")
]
Rows: TypeAlias = Annotated[
    str | None, typer.Option(help="Objectives to draw, comma list of rows. Default: all.")
]
Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Picture to write, .png or .svg. Default: a .png here, named after what it shows."),
]
Progress: TypeAlias = Annotated[
    float, typer.Option(min=0, max=1, help="Share of training that is done, for losses that change with it.")
]


@app.command(
    epilog="\b\nExamples:\n"
    "  mpobench plot gradient orpo simpo ./found/objective.json\n"
    "  mpobench plot gradient orpo simpo --corruption noisy:0.3 --seed 1\n"
    "  mpobench plot gradient dpo tampo --points 0 --progress 0.8 --output a.svg"
)
def gradient(
    objectives: Specs,
    *,
    env: EnvName = "tla",
    corruption: Annotated[
        str, typer.Option(help="Corruption of the dataset whose pairs are drawn.")
    ] = "base",
    seed: Annotated[int, typer.Option(min=0, help="Seed of that dataset.")] = 0,
    scale: Annotated[
        Scale, typer.Option(help="Scale of that dataset, which decides the number of pairs.")
    ] = "quick",
    points: Annotated[int, typer.Option(min=0, help="Number of its pairs to draw.")] = 200,
    span: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--range",
            metavar="LOW HIGH",
            help="Range of both axes, in nats per step. Default: the range of the pairs, or -14 -8 without any.",
        ),
    ] = None,
    reference: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="CHOSEN REJECTED",
            help="Reference log-probabilities, in nats per step. Default: the medians of the pairs, or the middle "
            "of the range without any.",
        ),
    ] = None,
    progress: Progress = 0.5,
    output: Output = None,
) -> None:
    """Draw the gradient of objectives: |∂L/∂log π(τ_w)| over the two log-probabilities of a pair.

    This is the paper's Figure 6. The dots are pairs of a dataset under a cloned policy; the pairs are rolled out and
    cloned the first time, which takes a minute or more, and kept for runs.

    Fields that are not stated have the defaults of --env. A loss with a reference policy is drawn for pairs of one
    reference, marked in the plane; a loss that looks at other pairs too (kto) sees one pair at a time.
    """
    built = _build(objectives, env)
    file = picture_file(output, _named_after("gradient", built))
    _check(range=span, reference=reference)
    require_matplotlib()
    drawn = None
    if points:
        from mpobench_plots.pairs import dataset_points

        typer.echo(f"pairs of {env}, {corruption}, seed {seed}: found in {cache_folder()}, or made", err=True)
        first = split_list(objectives[0])[0]  # as it was given: the text of an objective file names no path
        training = plan_training(get_registry(), env, corruption, first, seed, scale)
        with in_use(cache_folder()) as cache:
            drawn = dataset_points(training, points, Workspace(cache))
    from mpobench.registry.pair_plane import Circumstances
    from mpobench_plots.gradient import gradient_figure

    span = span or (drawn.span if drawn else PAPER_SPAN)
    middle = sum(span) / 2
    reference = reference or (drawn.medians if drawn else (middle, middle))
    given = Circumstances(reference, progress)
    _write(gradient_figure(built, span, given, drawn, _note(env)), file)


@app.command(
    epilog="\b\nExamples:\n"
    "  mpobench plot loss dpo simpo hinge\n"
    "  mpobench plot loss ipo:tau=0.1,ipo:tau=1 --range -2 8 --output ipo.svg"
)
def loss(
    objectives: Specs,
    *,
    env: EnvName = "tla",
    span: Annotated[
        tuple[float, float],
        typer.Option("--range", metavar="LOW HIGH", help="Range of the margin, in nats per step."),
    ] = (-6.0, 6.0),
    rejected: Annotated[float, typer.Option(help="log π(τ_l), and the reference, in nats per step.")] = -11.0,
    progress: Progress = 0.5,
    output: Output = None,
) -> None:
    """Draw the loss of objectives over the margin log π(τ_w) − log π(τ_l).

    Fields that are not stated have the defaults of --env. The curves are labelled in the order of their right ends.
    """
    built = _build(objectives, env)
    file = picture_file(output, _named_after("loss", built))
    _check(range=span, rejected=[rejected])
    require_matplotlib()
    from mpobench_plots.loss import loss_figure

    _write(loss_figure(built, span, rejected, progress, _note(env)), file)


@app.command(
    name="profiles",
    epilog="\b\nExamples:\n"
    "  mpobench plot profiles results\n"
    "  mpobench plot profiles leaderboards/tla.jsonl --objectives sft,cpo,dpo --output tla-profiles.svg",
)
def profiles_command(
    results: Results,
    *,
    objectives: Rows = None,
    output: Output = None,
) -> None:
    """Draw performance profiles: the share of runs whose normalised score exceeds τ, over τ.

    One panel per table of the leaderboard (environment, evaluator, scale), over all its corruptions and seeds, with
    95 % bootstrap bands for up to six objectives. The higher curve is the better one; a curve that crosses another is
    better in some runs only. An objective of which some cell did not finish is left out.
    """
    file = picture_file(output, f"profiles-{results.resolve().stem}")
    require_matplotlib()
    from mpobench_plots.profile_tables import tables_to_draw
    from mpobench_plots.profiles import profiles_figure

    sections, left_out = tables_to_draw(results, split_list(objectives) if objectives else None)
    for line in left_out:
        typer.echo(f"mpobench: warning: {line}", err=True)
    _write(profiles_figure(sections), file)


@app.command(
    epilog="\b\nExamples:\n"
    "  mpobench plot tuning tunings/tla-quick\n"
    "  mpobench plot tuning tunings/tla-quick/budget.json --output budget.svg"
)
def tuning(
    tuned: Annotated[Path, typer.Argument(help="Folder of a tuning, or the budget.json in it.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(help="Picture to write, .png or .svg. Default: tuning-budget.png here."),
    ] = None,
) -> None:
    """Draw score against budget: what the best of the first 1, 2, 4, … trials is worth on held-out seeds.

    A panel for each dataset, with means and their 95 % intervals. A loss whose curve still rises at the end wants more
    trials than it got; one that falls was fitted to the tuning seeds.
    """
    file = picture_file(output, "tuning-budget")
    require_matplotlib()
    from mpobench.tuning.budget_file import BudgetFile
    from mpobench_plots.tuning import tuning_figure

    curves = BudgetFile.read(tuned / "budget.json" if tuned.is_dir() else tuned).curves
    if not curves:
        raise RequestError(f"{tuned} has no curve: nothing has been tuned yet")
    _write(tuning_figure(curves), file)


@app.command(
    name="curves",
    epilog="\b\nExamples:\n"
    "  mpobench plot curves results\n"
    "  mpobench plot curves leaderboards/tla.jsonl --corruption noisy:0.3 --objectives sft,dpo,simpo --output tla.svg",
)
def curves_command(
    results: Results,
    *,
    corruption: Annotated[
        str | None, typer.Option(help="Corruption to draw. Default: the first of each table.")
    ] = None,
    objectives: Rows = None,
    output: Output = None,
) -> None:
    """Draw over-optimization: how far policies go from their reference policy, and what they earn.

    Over the epochs, means over the seeds: log π/π_ref of the chosen and the rejected side, the share of pairs whose
    chosen side became less probable than under the reference, and KL(π ‖ π_ref) on what the policy does itself. Then
    the true reward at the end, and the same over KL. The reference policy is that of the SFT stage, or the one that a
    training of one stage begins with. Results that were made before these were recorded show log π instead.
    """
    file = picture_file(output, f"curves-{results.resolve().stem}")
    require_matplotlib()
    from mpobench_plots.curve_tables import curve_tables
    from mpobench_plots.curves import curves_figure

    _write(
        curves_figure(curve_tables(results, corruption, split_list(objectives) if objectives else None)), file
    )


@app.command(
    name="scores",
    epilog="\b\nExamples:\n"
    "  mpobench plot scores results\n"
    "  mpobench plot scores leaderboards/tla.jsonl --output tla.svg",
)
def scores_command(
    results: Results,
    *,
    output: Output = None,
) -> None:
    """Draw a leaderboard: the mean of every objective on every corruption, with its 95 % bootstrap interval.

    One panel per table (environment, evaluator, scale), the best mean over its corruptions at the top.
    """
    file = picture_file(output, f"scores-{results.resolve().stem}")
    require_matplotlib()
    from mpobench.leaderboard.standings import standings
    from mpobench.results.store import read_results
    from mpobench_plots.scores import scores_figure

    sections = [section for section in standings(read_results(results)) if section.metric]
    if not sections:
        raise RequestError(f"{results} has no finished cell: there is nothing to draw")
    _write(scores_figure(sections), file)


@app.command(
    epilog="\b\nExamples:\n"
    "  mpobench plot rollout tla\n"
    "  mpobench plot rollout tla --objective cpo --corruption mixed --results leaderboards/tla.jsonl"
)
def rollout(
    env: Annotated[str, typer.Argument(help="Environment whose episodes can be looked at: tla, hopper.")],
    *,
    objective: Annotated[
        str, typer.Option(help="Objective that trains the third policy, with its fields if need be.")
    ] = "sft",
    corruption: Annotated[str, typer.Option(help="Corruption of its data.")] = "base",
    seed: Annotated[int, typer.Option(min=0, help="Seed of its training.")] = 0,
    scale: Annotated[Scale, typer.Option(help="Scale of its training.")] = "quick",
    results: Annotated[
        Path | None,
        typer.Option(
            help="Results that say how it was trained: the record of that objective, corruption and seed."
        ),
    ] = None,
    episode: Annotated[int, typer.Option(min=0, help="Number of the episode.")] = 0,
    seconds: Annotated[float, typer.Option(min=0.5, max=60, help="Length of the episode.")] = FILM_SECONDS,
    output: Output = None,
) -> None:
    """Draw an episode as strips of frames: the original agent, the target agent, and a trained policy.

    All begin in the same state. Above each frame stand the time and the true return so far. The policy is trained the
    first time, which takes a minute or more; films are kept in the cache.
    """
    file = picture_file(output, "rollout-" + re.sub(r"[^\w.]+", "-", env))
    require_matplotlib()
    from mpobench.running.films import films
    from mpobench_plots.film_strip import film_strip

    if results is None:
        training = plan_training(get_registry(), env, corruption, objective, seed, scale)
    else:
        training = _recorded(results, env, corruption, objective, seed)
    if not isinstance(training.env, HasFilms):
        raise RequestError(f"{env} has nothing to look at: try tla")
    typer.echo(f"films of {env}: found in {cache_folder()}, or made", err=True)
    with in_use(cache_folder()) as cache:
        drawn = dict(films(training, cache, episode, seconds))
    _write(film_strip(drawn), file)


def _recorded(results: Path, env: str, corruption: str, objective: str, seed: int) -> Training:
    """The training of a record.

    Raises:
        RequestError: If there is no such record, or the installed version trains something else.
    """
    from mpobench.planning.recorded import Recorded
    from mpobench.results.store import read_results

    wanted = (env, corruption, objective, seed)
    for result in read_results(results):
        if (result.env, result.corruption, result.objective, result.seed) == wanted:
            return Recorded(get_registry()).training(result)
    raise RequestError(f"{results} has no cell of {objective} on {env} {corruption}, seed {seed}")


def _write(figure: Figure, file: Path) -> None:
    write_atomically(file, rendered(figure, file.suffix))
    typer.echo(file)


def _build(lists: list[str], env: str) -> list[Configured[Objective]]:
    """The objectives of some lists over the environment's defaults, each once."""
    registry = get_registry()
    defaults = registry.build("env", env).component.objective_defaults
    built = [registry.build("objective", spec, defaults) for text in lists for spec in split_list(text)]
    return list({each.text: each for each in built}.values())


def _note(env: str) -> str:
    return f"fields not stated: defaults of {env}"


def _named_after(picture: str, objectives: list[Configured[Objective]]) -> str:
    names = "-".join(re.sub(r"[^\w.]+", "-", each.text) for each in objectives)
    return f"{picture}-{names[:80]}"


def _check(**options: Sequence[float] | None) -> None:
    """Refuses numbers that are not finite, and a range that is not one.

    Raises:
        RequestError: Naming the option.
    """
    for name, values in options.items():
        given = f"--{name} {' '.join(f'{value:g}' for value in values or ())}"
        if not all(map(math.isfinite, values or ())):
            raise RequestError(f"{given}: give finite numbers")
        if name == "range" and values and values[0] >= values[1]:
            raise RequestError(f"{given}: give two numbers, the smaller one first")
