"""The folder of a search for an objective: where it started, and a file per finished generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from mpobench import Objective, RequestError, Tensors, objective
from mpobench.errors import one_line

START = "start.json"
MEAN = "mean."
"""What the names of the search's mean begin with; ``<field>.<part>`` follows."""


@dataclass(frozen=True)
class Generation:
    """A finished generation.

    Attributes:
        number: from 1.
        fitness: ``(population,)``; NaN for members that diverged.
        mean: the objective at the search's mean after this generation.
    """

    number: int
    fitness: NDArray[np.float64]
    mean: Objective


@dataclass(frozen=True)
class Search:
    """What a search has left so far.

    Attributes:
        name: of its folder.
        start: the objective from which it started.
        learned: fields of the objective that it changes, each of them ``Tensors``.
        generations: the finished ones, in their order; at least one.
    """

    name: str
    start: Objective
    learned: frozenset[str]
    generations: tuple[Generation, ...]


@dataclass(frozen=True)
class _Stored:
    """What is read of a generation's file; the arrays of the mean are named ``<field>.<part>``."""

    file: Path
    mean: Mapping[str, NDArray[np.generic]]
    fitness: NDArray[np.float64]


def read_search(folder: Path) -> Search:
    """Reads the folder of a search, finished or not.

    Raises:
        RequestError: if there is no such folder, it is not a search's, no generation is finished yet, or one of
            its files is damaged or does not fit the others.
    """
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}: name the one of a search")
    if not (folder / START).is_file():
        raise RequestError(f"{folder} is not the folder of a search: it has no {START}")
    # Absolute, so that no name of a folder is read as the name and fields of an objective.
    start = objective(str((folder / START).absolute()))
    files = [file for file in (folder / "generations").glob("*.safetensors") if file.stem.isdecimal()]
    if not files:
        raise RequestError(f"{folder}: no generation is finished yet")
    stored = [_read_generation(file) for file in sorted(files, key=_number)]
    # A start may have networks that its search leaves alone: what it learns is what it has a mean of.
    learned = frozenset(name.partition(".")[0] for each in stored for name in each.mean)
    generations = (
        Generation(_number(each.file), each.fitness, _objective_at(start, learned, each)) for each in stored
    )
    return Search(folder.resolve().name, start, learned, tuple(generations))


def _number(file: Path) -> int:
    return int(file.stem)


def _read_generation(file: Path) -> _Stored:
    try:
        with safe_open(file, framework="numpy") as opened:
            said = (opened.metadata() or {}).get("generation", "")
            # One by one: the rest of the file is the search's own business, and may be large.
            mean = {
                name.removeprefix(MEAN): opened.get_tensor(name)
                for name in opened.keys()  # noqa: SIM118  # it is no mapping
                if name.startswith(MEAN)
            }
            fitness = np.asarray(opened.get_tensor("fitness"), np.float64)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(file, one_line(error)) from error
    if said.lstrip("0") != str(_number(file)):
        raise _damaged(file, f"it says that it is generation {said!r}")
    if fitness.ndim != 1 or not fitness.size:
        raise _damaged(file, f"its fitness has shape {fitness.shape}, not (population,)")
    return _Stored(file, mean, fitness)


def _damaged(file: Path, reason: str) -> RequestError:
    return RequestError(f"generation file {file} is damaged: {reason}")


def _objective_at(start: Objective, learned: frozenset[str], stored: _Stored) -> Objective:
    """The start with the mean of a generation in place of the networks that are learned.

    Raises:
        RequestError: if the mean is not of these networks, or has a number that is not finite.
    """
    networks = {field: value for field, value in start if field in learned and isinstance(value, Tensors)}
    expected = {
        f"{field}.{part}": array.shape for field, parts in networks.items() for part, array in parts.items()
    }
    if misfit := _misfit(expected, {name: array.shape for name, array in stored.mean.items()}):
        raise RequestError(f"generation file {stored.file} does not fit {START}: {misfit}")
    try:
        update = {
            field: Tensors({part: stored.mean[f"{field}.{part}"] for part in parts})
            for field, parts in networks.items()
        }
    except ValueError as error:
        raise _damaged(stored.file, one_line(error)) from error
    return start.model_copy(update=update)


def _misfit(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> str:
    """What is wrong with the shapes of a mean, if anything is."""
    for name in sorted({*expected, *found}):
        if name not in found:
            return f"the mean of {name} is missing"
        if name not in expected:
            return f"it has a mean of {name}, which the start has not"
        if found[name] != expected[name]:
            return f"the mean of {name} has shape {found[name]}, not {expected[name]}"
    return ""
