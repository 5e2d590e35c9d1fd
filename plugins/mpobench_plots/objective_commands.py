"""``mpobench plot gradient`` and ``loss``: pictures of objectives."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import typer

from mpobench import Objective, RequestError, Workspace
from mpobench.display.pictures import picture_file, require_matplotlib
from mpobench.files.cache import cache_folder, in_use
from mpobench.planning.env_plan import plan_training
from mpobench.protocols import Scale
from mpobench.registry.build import Configured
from mpobench.registry.registry import get_registry
from mpobench.registry.specs import split_list
from mpobench_plots.options import Output, write

Specs: TypeAlias = Annotated[
    list[str], typer.Argument(help="Objectives, with their fields if need be: orpo simpo:beta=5")
]
EnvName: TypeAlias = Annotated[
    str, typer.Option(help="Environment whose defaults the fields of objectives have.")
]
Progress: TypeAlias = Annotated[
    float, typer.Option(min=0, max=1, help="Share of training that is done, for losses that change with it.")
]

GRADIENT_EXAMPLES = (
    "\b\nExamples:\n"
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
    from mpobench.registry.paper_span import PAPER_SPAN
    from mpobench_plots.gradient import gradient_figure

    span = span or (drawn.span if drawn else PAPER_SPAN)
    middle = sum(span) / 2
    reference = reference or (drawn.medians if drawn else (middle, middle))
    given = Circumstances(reference, progress)
    write(gradient_figure(built, span, given, drawn, _note(env)), file)


LOSS_EXAMPLES = (
    "\b\nExamples:\n"
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

    write(loss_figure(built, span, rejected, progress, _note(env)), file)


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
