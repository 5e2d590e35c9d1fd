"""Films of an environment's agents and of a policy that is trained for them, made once and kept in the cache."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mpobench.env_kit.films import FILM_SECONDS, Film, HasFilms
from mpobench.files import locks
from mpobench.files.atomic import write_atomically
from mpobench.files.keys import content_key
from mpobench.planning.cells import Training
from mpobench.protocols import ORIGINAL, TARGET, Workspace
from mpobench.running.preparation import prepare_and_train

_FORMAT = 1
_ACTORS = {"original agent": ORIGINAL, "target agent": TARGET}


def films(
    training: Training, cache: Path, episode: int = 0, seconds: float = FILM_SECONDS
) -> Iterator[tuple[str, Film]]:
    """Films of the original agent, of the target agent, and of the policy of a training, each named.

    All begin in the same state. What is not in the cache is made in this process: rollouts, SFT stage, the policy.

    Args:
        training: Training in an environment that has films (:class:`~mpobench.env_kit.films.HasFilms`).
        cache: Folder that runs share.
        episode: Number of the episode.
        seconds: Length of a film, unless the episode ends before.

    Raises:
        DivergedError: When the training leaves the finite numbers.
    """
    env, workspace = training.env, Workspace(cache)
    assert isinstance(env, HasFilms)
    data = {name: training.config[name] for name in ("env", "dataset")}
    for name, actor in _ACTORS.items():
        shot = functools.partial(env.film, actor, episode, seconds, workspace)
        yield name, _kept(cache, [data, name, episode, seconds], shot)

    def trained() -> Film:
        policy = prepare_and_train(env, training.request, workspace).policy
        return env.film(policy, episode, seconds, workspace)

    yield training.cells[0].objective, _kept(cache, [training.key, episode, seconds], trained)


def _kept(cache: Path, identity: list[Any], shoot: Callable[[], Film]) -> Film:
    """A film of the cache, made unless it is there, and again if its file is damaged."""
    file = cache / "films" / f"{content_key([_FORMAT, *identity])}.json"

    def make() -> None:
        write_atomically(file, shoot().model_dump_json())

    locks.once(file, make)
    try:
        return Film.model_validate_json(file.read_bytes())
    except ValidationError:
        make()
        return Film.model_validate_json(file.read_bytes())
