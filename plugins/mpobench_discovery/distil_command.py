"""``mpobench discover distil``: a polynomial in place of a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from mpobench import Objective, RequestError, Workspace
from mpobench.display.tables import print_table
from mpobench.env_kit.pair_logps import HasPairLogps
from mpobench.errors import PluginError, one_line
from mpobench.files.cache import cache_folder, in_use
from mpobench.planning.cells import Training
from mpobench.planning.env_plan import plan_training
from mpobench.protocols import Scale
from mpobench.registry.build import Configured
from mpobench.registry.fields import validated
from mpobench.registry.objective_files import ObjectiveFileCard
from mpobench.registry.paper_span import PAPER_SPAN
from mpobench.registry.registry import get_registry
from mpobench_discovery.distilled_file import POLYNOMIAL, reduction_of, rows, save
from mpobench_discovery.settings import CORRUPTION, ENV, SCALE

if TYPE_CHECKING:
    from mpobench_discovery.distil import Distilled
    from mpobench_discovery.slopes import Points


def distil(
    objective: Annotated[str, typer.Argument(help="Objective file, or any objective with its fields.")],
    *,
    output: Annotated[
        Path | None, typer.Option(help="Objective file to write, .json. Default: the new name, here.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the new objective. Default: the old one's and -distilled.")
    ] = None,
    degree: Annotated[
        int | None,
        typer.Option(
            min=1, max=5, help="Degree of the polynomial. Default: the lowest that is about as near as any."
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(help=f"Environment of the pairs. Default: that of the file's provenance, or {ENV}."),
    ] = None,
    corruption: Annotated[
        str | None,
        typer.Option(help=f"Corruption of their dataset. Default: that of the provenance, or {CORRUPTION}."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of their dataset.")] = 0,
    scale: Annotated[
        Scale | None,
        typer.Option(help=f"Scale of their dataset. Default: that of the provenance, or {SCALE}."),
    ] = None,
    progress: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of training that is done, for losses that change with it."),
    ] = None,
) -> None:
    """Fit a short closed form to an objective, such as a network that a search has found.

    The closed form is mpo-polynomial: −α log π(τ_w) − P(d), with P a polynomial of the margin d = log π(τ_w) −
    log π(τ_l). Its gradients are fitted to the objective's at the pairs of a dataset: where a cloned policy sees them,
    and where other policies of a training may, at twice and four times their distance from the likeliest trajectory,
    and with their sides exchanged. Beyond the central 95 % of these margins P goes on along its tangents. The pairs are
    rolled out and cloned the first time, which takes a minute or more, and kept for runs.

    Gradients longer than the median are shortened to it, for the fit and for its errors, since training clips them;
    R² is the share that no linear loss explains. Fields that are not stated have the defaults of --env.

    \b
    Examples:
      mpobench discover distil ./found/objective.json
      mpobench discover distil ./found/objective.json --degree 3 --name cubic --output ./found/cubic.json
      mpobench discover distil orpo --corruption noisy:0.3
      mpobench run --objectives orpo,./orpo-distilled.json --corruptions noisy:0.3
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    stated = {"env": env, "corruption": corruption, "scale": scale}
    training, source = _training(objective, stated, seed)
    name = name or _slug(source.text)
    output = output or Path(f"{name}.json")
    _check_stages(source)
    _check_output(output, name)
    with _blamed(source):
        _check_moment(source, progress)
    points, where = _points(training, source)
    with _blamed(source):
        fit = _distilled(source, points, degree, progress)
    save(output, name, training, source, fit, {"points": where, "progress": progress})
    print_table((source.text, "distilled"), rows(fit, where))
    typer.echo(f"\n{fit.polynomial.formula}\n{output}")


def _training(
    objective: str, stated: dict[str, str | None], seed: int
) -> tuple[Training, Configured[Objective]]:
    """A training on the dataset: as stated, or of the objective file's provenance, or of the general defaults.

    Raises:
        RequestError: For an objective, environment or corruption that is unknown, or a file that is damaged.
    """
    registry = get_registry()
    built = registry.build("objective", objective)
    file = built.file or registry.file(built.registered)
    known = {} if file is None else file.card.provenance
    usual = {"env": ENV, "corruption": CORRUPTION, "scale": SCALE}
    data = {key: stated[key] or str(known.get(key, default)) for key, default in usual.items()}
    scales = {scale: scale for scale in get_args(Scale)}
    if data["scale"] not in scales:
        raise RequestError(
            f"{file}: its provenance has scale {data['scale']!r}: give --scale {'|'.join(scales)}"
        )
    # The objective as it was given: what a spec leaves out depends on the environment's defaults.
    training = plan_training(
        registry, data["env"], data["corruption"], objective, seed, scales[data["scale"]]
    )
    return training, registry.build("objective", objective, training.env.objective_defaults)


def _slug(text: str) -> str:
    return f"{re.sub(r'[^a-z0-9._]+', '-', text.lower())[:50]}-distilled"


def _check_stages(source: Configured[Objective]) -> None:
    """Checks that the objective trains in one stage without a reference, as the polynomial does.

    Raises:
        RequestError: Saying why.
    """
    if source.component.needs_reference:
        raise RequestError(
            f"{source.text} reads a reference policy, and {POLYNOMIAL} has none: distil an objective of one stage"
        )
    if source.component.two_stage:
        raise RequestError(
            f"{source.text} begins with an SFT stage, and {POLYNOMIAL} does not: distil an objective of one stage, "
            "such as simpo:sft_first=false"
        )


def _check_output(file: Path, name: str) -> None:
    """Checks, before the work, that its result can be saved.

    Raises:
        RequestError: If the file is there already, or file or name are not allowed.
    """
    if file.suffix != ".json":
        raise RequestError(f"--output {file}: objective files end in .json")
    if file.exists():
        raise RequestError(f"{file} is there already: remove it, or choose another --output")
    card = {"name": name, "summary": name, "objective": POLYNOMIAL}
    validated(ObjectiveFileCard, card, f"--name {name}", RequestError)
    if name in {each.card.name for each in get_registry().cards("objective")}:
        raise RequestError(f"--name {name}: an objective is registered under this name: choose another one")


def _check_moment(source: Configured[Objective], progress: float | None) -> None:
    """Checks that the loss does not change in the course of training, unless the moment is stated.

    Raises:
        RequestError: Saying how to state it.
    """
    from mpobench_discovery.slopes import changes, grid

    if progress is None and changes(source.component, grid(*PAPER_SPAN, points=5)):
        raise RequestError("it changes in the course of training: choose a moment, with --progress 0.5, say")


@contextmanager
def _blamed(source: Configured[Objective]) -> Iterator[None]:
    """Turns the failure of an objective into one line that names it."""
    try:
        yield
    except RequestError as error:
        raise RequestError(f"{source.text} cannot be distilled: {error}") from error
    except Exception as error:
        line = f"objective {source.text!r} of {source.registered.source} cannot be distilled: "
        raise PluginError(line + one_line(error)) from error


def _points(training: Training, source: Configured[Objective]) -> tuple[Points, str]:
    """The points at which the objective is fitted, and a description of them.

    Raises:
        RequestError: If the loss reads sums, and the environment cannot tell them.
    """
    import numpy as np

    from mpobench_discovery.slopes import Points, grid

    cell = training.cells[0]
    words = f"{cell.env}, {cell.corruption}, seed {cell.seed}, {cell.scale}"
    typer.echo(f"pairs of {words}: found in {cache_folder()}, or made", err=True)
    sums = reduction_of(source.component) == "sum"
    if not isinstance(training.env, HasPairLogps):
        if sums:
            raise RequestError(f"{cell.env} cannot tell log-probabilities of its pairs: state reduction=mean")
        return grid(*PAPER_SPAN), f"a grid from {PAPER_SPAN[0]:g} to {PAPER_SPAN[1]:g} nats per step"
    with in_use(cache_folder()) as cache:
        sides = training.env.pair_logps(training.request.dataset, Workspace(cache))
    chosen, rejected = (np.asarray(side.total if sums else side.mean, np.float64) for side in sides)
    return Points(chosen, rejected).spread(), f"{len(chosen)} pairs ({words})"


def _distilled(
    source: Configured[Objective], points: Points, degree: int | None, progress: float | None
) -> Distilled:
    from mpobench_discovery.distil import distilled
    from mpobench_discovery.polynomial import DEGREES

    return distilled(source.component, points, (degree,) if degree else DEGREES, progress or 0.0)
