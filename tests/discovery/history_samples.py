"""Folders of searches that never ran: the means of their generations take random steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from search_samples import a_search

import mpobench
from mpobench import Tensors, save_objective
from mpobench_discovery.folder import Folder, Generation
from mpobench_discovery.genome import Numbers, find_genome

KEY = "0" * 24
FITNESS = [
    [3.0, 1.0, 2.0, np.nan],
    [2.0, 6.0, 4.0, 4.0],
    [np.nan, np.nan, np.nan, np.nan],
    [5.0, 7.0, np.nan, 9.0],
]
"""Of four generations."""


def generation_file(folder: Path, number: int) -> Path:
    return folder / "generations" / f"{number:04d}.safetensors"


def write_generation(folder: Path, number: int, mean: Numbers, fitness: list[float]) -> None:
    members = len(fitness)
    state = {"state.mean": np.ones((4, 7), np.float32), "state.key": np.arange(2, dtype=np.uint32)}
    generation = Generation(
        number=number,
        mean=mean,
        state=state,
        fitness=np.asarray(fitness, np.float64),
        seeds=np.arange(members),
        evaluation_seeds=np.arange(members),
        seconds=1.0,
        busy=1.0,
        steps=0,
        workers=2,
    )
    Folder(folder).save(generation, KEY)


def networks(objective: Any) -> dict[str, dict[str, Any]]:
    return {field: dict(value) for field, value in objective if isinstance(value, Tensors)}


def write_search(
    folder: Path,
    registered: str = "1s-mpo",
    fitness: list[list[float]] = FITNESS,
    learn: tuple[str, ...] = (),
) -> Path:
    """A search whose mean takes a random step in every generation."""
    asked = a_search(family=registered, learn=learn, generations=len(fitness), population=len(fitness[0]))
    folder.mkdir(exist_ok=True)
    Folder(folder).claim(asked, KEY, "start")
    start = type(mpobench.objective(registered)).start()  # type: ignore[attr-defined]
    save_objective(folder / "start.json", start, registered, name="start", summary="Where the search began")
    fields = find_genome(registered, learn, str(folder / "start.json")).fields
    mean = {field: parts for field, parts in networks(start).items() if field in fields}
    random = np.random.default_rng(0)
    for number, members in enumerate(fitness, 1):
        mean = {
            field: {part: stepped(part, value, random) for part, value in parts.items()}
            for field, parts in mean.items()
        }
        write_generation(folder, number, mean, members)
    return folder


def stepped(part: str, value: Any, random: np.random.Generator) -> Any:
    moved = np.asarray(value + 0.02 * random.normal(size=value.shape), np.float32)
    return moved if part == "bias" else np.maximum(moved, np.float32(0))
