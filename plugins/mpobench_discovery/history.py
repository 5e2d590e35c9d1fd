"""The history of a search, for its picture: objectives and fitness, from the start to the last generation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpobench import Objective, RequestError
from mpobench_discovery.folder import Folder
from mpobench_discovery.genome import find_genome


@dataclass(frozen=True)
class PastGeneration:
    """A finished generation.

    Attributes:
        number: Number of the generation, from 1.
        fitness: ``(population,)``; NaN for members that diverged.
        mean: Objective at the search's mean after this generation.
    """

    number: int
    fitness: NDArray[np.float64]
    mean: Objective


@dataclass(frozen=True)
class History:
    """A search up to now.

    Attributes:
        name: Name of its folder.
        start: Objective from which it started.
        learned: Fields of the objective that it changes.
        generations: Finished generations in their order; at least one.
    """

    name: str
    start: Objective
    learned: tuple[str, ...]
    generations: tuple[PastGeneration, ...]


def read_history(path: Path) -> History:
    """Reads the folder of a search, finished or not.

    Raises:
        RequestError: If the folder is missing or holds no search, no generation is finished yet, or a file is damaged.
    """
    folder = Folder(path)
    if not path.is_dir():
        raise RequestError(f"there is no folder {path}: name the one of a search")
    if not folder.claimed:
        raise RequestError(f"{path} is not the folder of a search: it has no search.json")
    search, key = folder.claimed_by()
    if not folder.start.is_file():
        raise RequestError(
            f"{folder.start} is missing: give the command of the search again, which writes it"
        )
    genome = find_genome(search.family, search.learn, str(folder.start))
    shapes = {field: getattr(genome.start, field) for field in genome.fields}
    generations = [
        folder.load(number, key, shapes, search.population) for number in range(1, folder.generations() + 1)
    ]
    if not generations:
        raise RequestError(f"{path}: no generation is finished yet")
    return History(
        path.resolve().name,
        genome.start,
        genome.fields,
        tuple(
            PastGeneration(generation.number, generation.fitness, genome.objective(generation.mean))
            for generation in generations
        ),
    )
