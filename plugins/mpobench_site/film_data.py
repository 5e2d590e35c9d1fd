"""Rollouts for brax's viewer: the two agents, and the policy that a table's best objective trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mpobench.env_kit.films import Film, HasFilms
from mpobench.errors import MpobenchError
from mpobench.leaderboard.paired import leader
from mpobench.leaderboard.standings import Section
from mpobench.planning.recorded import Recorded
from mpobench.registry.registry import Registry
from mpobench.running.films import films

_SIZES = {"plane": 3, "sphere": 1, "capsule": 2, "cylinder": 2, "box": 3}


def film_data(
    sections: Sequence[Section], registry: Registry, cache: Path, note: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Films of each environment of a leaderboard that has some.

    Args:
        sections: Tables. Of those of one environment the first counts.
        registry: Installed components.
        cache: Folder that runs share, where films are kept.
        note: Function that is called with what is about to take time, and with what could not be filmed.
    """
    by_env = {section.env: section for section in reversed(sections)}
    found = []
    for env, section in by_env.items():
        try:
            if not isinstance(registry.build("env", env).component, HasFilms):
                continue
            found.append(_of_env(section, registry, cache, note))
        except MpobenchError as error:
            note(f"no rollouts of {env}: {error}")
    return [films for films in found if films]


def _of_env(section: Section, registry: Registry, cache: Path, note: Callable[[str], None]) -> dict[str, Any]:
    for column in section.columns:
        row = leader(section, column)
        if row is None:
            continue
        record = min(row.entries[column].finished, key=lambda result: result.seed)
        training = Recorded(registry).training(record)
        note(f"rollouts of {section.env}: found in {cache}, or made")
        return {
            "env": section.env,
            "trained": f"{row.objective} on {column}, seed {record.seed}",
            "films": [{"name": name, "film": viewer_system(film)} for name, film in films(training, cache)],
        }
    return {}


def viewer_system(film: Film) -> dict[str, Any]:
    """A film in the form that brax's viewer reads (``brax.io.json``), numbers in four digits."""
    geoms: dict[str, list[dict[str, Any]]] = {}
    for shape in film.shapes:
        link = film.links[shape.link] if shape.link >= 0 else "world"
        size = (
            (0.0, 0.0, 0.0) if shape.kind == "plane" else shape.size
        )  # endless: it has a pattern to run over
        geoms.setdefault(link, []).append(
            {
                "name": shape.kind.capitalize(),
                "link_idx": shape.link,
                "pos": shape.position,
                "rot": shape.rotation,
                "rgba": [*shape.color, 1],
                "size": size[: _SIZES[shape.kind]],
            }
        )
    return {
        "opt": {"timestep": film.frame_seconds},
        "geoms": geoms,
        "states": {
            "x": [
                {"pos": [_round(link) for link in pos], "rot": [_round(link) for link in rot]}
                for pos, rot in zip(film.positions, film.rotations, strict=True)
            ]
        },
        "earned": film.earned,
        "ended": film.ended,
    }


def _round(values: Sequence[float]) -> list[float]:
    return [round(value, 3) for value in values]
