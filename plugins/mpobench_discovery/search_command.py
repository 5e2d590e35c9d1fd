"""``mpobench discover``: run a search, or go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mpobench import RequestError
from mpobench.files.cache import cache_folder, in_use
from mpobench.planning.env_plan import EnvPlan
from mpobench.planning.overrides import overrides
from mpobench.planning.tuned_file import TunedValues
from mpobench.planning.tuned_table import TunedTable
from mpobench.protocols import JsonObject, Scale
from mpobench.registry.registry import get_registry
from mpobench_discovery.genome import Genome, find_genome
from mpobench_discovery.settings import (
    CORRUPTION,
    ENV,
    FAMILY,
    SCALE,
    HasSearchDefaults,
    Search,
    checked_scale,
)


def discover(
    context: typer.Context,
    env: Annotated[str, typer.Option(help="Environment.")] = ENV,
    corruption: Annotated[str, typer.Option(help="Dataset corruption.")] = CORRUPTION,
    family: Annotated[
        str | None,
        typer.Option(help=f"1s-mpo, 2s-mpo or tampo. Default: that of --start, or {FAMILY}."),
    ] = None,
    learn: Annotated[
        str | None,
        typer.Option(
            help="Functions to learn, comma list of psi, phi, g, schedule; the others stay log, logit or log σ, as "
            "where the search begins. Default: all."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="Where to begin: an objective file, or sft, cpo, orpo, lpo or tampo, as networks. Default: ORPO "
            "(1s-mpo), DPO (2s-mpo), Eq. 13 (tampo), each with λ = β = 1."
        ),
    ] = None,
    tuned: Annotated[
        Path | None,
        typer.Option(
            help="File of tuned values, made by mpobench tune: fields of --start, and the training of the members."
        ),
    ] = None,
    scale: Annotated[str, typer.Option(help="smoke, quick or paper (Table 8).")] = SCALE,
    seed: Annotated[int | None, typer.Option(help="Seed of the search. Default: 0.")] = None,
    population: Annotated[int | None, typer.Option(help="Members of a generation, an even number.")] = None,
    generations: Annotated[
        int | None, typer.Option(help="Number of generations; a finished search goes on when given more.")
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(help="Standard deviation of the population around its mean.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Learning rate of Adam, on the mean.")] = None,
    training: Annotated[
        list[str] | None,
        typer.Option(help="Override the training of the members: epochs=6. Repeatable."),
    ] = None,
    evaluator: Annotated[
        str | None, typer.Option(help="Evaluator whose first metric is the fitness: sampled-return:32.")
    ] = None,
    launcher: Annotated[str, typer.Option(help="Launcher of the workers.")] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of workers. Default: one per core.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the search. Default: discoveries/ENV-CORRUPTION-FAMILY-SCALE."),
    ] = None,
) -> None:
    """Evolve an objective: networks for φ⁻¹, ψ and g by OpenAI-ES, fitness the true return of the policies they train.

    A search takes some six minutes of two cores. The same command goes on where it stopped, and with more
    --generations where it ended. It leaves a folder with an objective file, which every command takes for an objective;
    mpobench discover plot FOLDER draws what happened.

    \b
    Examples:
      mpobench discover --env tla --corruption noisy:0.3 --family 1s-mpo --learn psi,phi,g
      mpobench discover --corruption mixed --family tampo --learn schedule --output found
      mpobench discover --corruption mixed --start found/objective.json --seed 1
      mpobench discover --corruption noisy:0.3 --start cpo --tuned leaderboards/tla.tuned.toml
      mpobench run --objectives orpo,./found/objective.json --corruptions mixed
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    if context.invoked_subcommand is not None:
        return
    options: dict[str, Any] = {
        "env": env,
        "corruption": corruption,
        "scale": scale,
        "seed": seed,
        "population": population,
        "generations": generations,
        "sigma": sigma,
        "learning_rate": learning_rate,
        "evaluator": evaluator,
    }
    stated = overrides(training) or {}
    values = _tuned_start(env, corruption, start, scale, tuned, stated)
    options["training"] = {**values.training, **stated}
    names = tuple(name.strip() for name in (learn or "").split(",") if name.strip())
    defaults = get_registry().build("env", env).component.objective_defaults
    genome = find_genome(
        family, names, start, lambda name, fields: {**defaults(name, fields), **values.fields}
    )
    search = Search.of({**options, "family": genome.family, "learn": names, "start": start}, _env_defaults)
    _run(search, genome, output or search.folder, launcher, workers)


def _tuned_start(
    env: str, corruption: str, start: str | None, scale: str, tuned: Path | None, stated: Mapping[str, Any]
) -> TunedValues:
    """The tuned values of the start of a search; none without a file.

    Args:
        env: Environment.
        corruption: Corruption.
        start: Objective; None if the user names none.
        scale: Scale.
        tuned: Tuned file.
        stated: Fields of the training configuration that the user sets.
    """
    if tuned is None:
        return TunedValues()
    if start is None:
        raise RequestError(f"--tuned {tuned} is for the objective that --start names: name one")
    registry = get_registry()
    usual = _env_defaults(env, checked_scale(scale)).get("training", {})
    plan = EnvPlan(registry, env, (), checked_scale(scale), {**usual, **stated})
    table = TunedTable(tuned, registry)
    values = table.values(plan, plan.dataset(corruption), start)
    for note in table.notes():
        typer.echo(f"mpobench: warning: {note}", err=True)
    return values or TunedValues()


def _env_defaults(env: str, scale: Scale) -> JsonObject:
    component = get_registry().build("env", env).component
    return component.search_defaults(scale) if isinstance(component, HasSearchDefaults) else {}


def _run(search: Search, genome: Genome, output: Path, launcher: str, workers: int | None) -> None:
    from mpobench_discovery.cost import Cost
    from mpobench_discovery.folder import Folder
    from mpobench_discovery.held_out import compare
    from mpobench_discovery.result import averaged, publish
    from mpobench_discovery.search import evolve
    from mpobench_discovery.search_plan import plan_search

    place = get_registry().build("launcher", launcher).component
    folder, cache = Folder(output), cache_folder()
    with folder.held(), in_use(cache):
        plan = plan_search(search, genome, folder)
        try:
            with place.open(workers, lambda *_: None) as opened:
                opened.check_folders((output, cache))
                generations = evolve(plan, folder, opened, cache)
                numbers = averaged(generations, search.average)
                held_out = compare(plan, numbers, folder, opened, cache)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{folder.generations()} of {search.generations} generations are kept in {output}, and the scores "
                "of the next one: the same command goes on from here"
            ) from None
        cost = Cost.of(generations)
        publish(plan, numbers, folder, held_out, cost)
    typer.echo(held_out)
    typer.echo(cost)
    typer.echo(folder.result)
