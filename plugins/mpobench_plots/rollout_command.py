"""``mpobench plot rollout``: episodes as strips of frames."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpobench import RequestError
from mpobench.display.pictures import picture_file, require_matplotlib
from mpobench.env_kit.films import FILM_SECONDS, HasFilms
from mpobench.files.cache import cache_folder, in_use
from mpobench.planning.env_plan import plan_training
from mpobench.protocols import Scale
from mpobench.registry.registry import get_registry
from mpobench_plots.options import Output, write

if TYPE_CHECKING:
    from mpobench.planning.cells import Training

ROLLOUT_EXAMPLES = (
    "\b\nExamples:\n"
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
    scale: Annotated[
        Scale | None, typer.Option(help="Scale of its training. Default: that of the record, or else quick.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            help="Results that say how it was trained: the record of that objective, corruption, seed and scale."
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
        training = plan_training(get_registry(), env, corruption, objective, seed, scale or "quick")
    else:
        training = _recorded(results, env, corruption, objective, seed, scale)
    if not isinstance(training.env, HasFilms):
        raise RequestError(f"{env} has nothing to look at: try tla")
    typer.echo(f"films of {env}: found in {cache_folder()}, or made", err=True)
    with in_use(cache_folder()) as cache:
        drawn = dict(films(training, cache, episode, seconds))
    write(film_strip(drawn), file)


def _recorded(
    results: Path, env: str, corruption: str, objective: str, seed: int, scale: Scale | None
) -> Training:
    """The training of a record.

    Raises:
        RequestError: If there is no such record, or the installed version trains something else.
    """
    from mpobench.planning.recorded import Recorded
    from mpobench.results.store import read_results

    wanted = (env, corruption, objective, seed)
    for result in read_results(results):
        place = (result.env, result.corruption, result.objective, result.seed)
        if place == wanted and scale in (None, result.scale):
            return Recorded(get_registry()).training(result)
    at = f", at {scale} scale" if scale else ""
    raise RequestError(f"{results} has no cell of {objective} on {env} {corruption}, seed {seed}{at}")
