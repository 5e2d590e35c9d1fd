"""The folder of a search: what was asked, a checkpoint per generation, the scores of the one that is under way.

search.json               what was asked, and the key of all that decides the outcome
start.json                the objective at the beginning (an objective file)
generations/0001.safetensors
                          after each generation: the mean (named as in an objective file), the strategy's whole
                          state, fitness and seeds of the members
members.jsonl             the scores of the generation that is under way, one line each
objective.json            the result (an objective file)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mpobench import RequestError
from mpobench.files.atomic import write_atomically
from mpobench.files.text import json_lines
from mpobench.protocols import JsonObject
from mpobench_discovery.genome import Numbers
from mpobench_discovery.members import Score
from mpobench_discovery.settings import Search

MEAN = "mean"
"""What the names of the mean's tensors begin with: ``mean.<field>.<part>``."""

PER_MEMBER = ("fitness", "seeds", "evaluation_seeds")
"""Tensors of a checkpoint with one number for each member."""

EXTENDABLE = {"generations"}
"""What may change of a search that goes on: it may become longer."""


@dataclass(frozen=True)
class Generation:
    """A finished generation.

    Attributes:
        number: from 1.
        mean: of the search after it, as the objective has it.
        state: of the strategy after it, as named arrays.
        fitness: ``(population,)``, NaN for members that diverged.
        seeds: ``(population,)`` of training, which the two of an antithetic pair share.
        evaluation_seeds: ``(population,)``, likewise.
        seconds: of wall time.
        busy: seconds of a core in training and evaluation, over all members.
        steps: of the environment, in evaluation.
        workers: that it had throughout; 0 if that is unknown, or if it was stopped in between and went on.
    """

    number: int
    mean: Numbers
    state: dict[str, np.ndarray]
    fitness: NDArray[np.float64]
    seeds: NDArray[np.int64]
    evaluation_seeds: NDArray[np.int64]
    seconds: float
    busy: float
    steps: int
    workers: int


class Folder:
    """Where a search keeps what it has computed.

    Args:
        path: of the folder; made when it is claimed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start, self.result = path / "start.json", path / "objective.json"
        self._search, self._journal = path / "search.json", path / "members.jsonl"
        self._generations = path / "generations"

    @property
    def name(self) -> str:
        """Of the objective that is found here: the folder's, as far as it can be one."""
        name = re.sub(r"[^a-z0-9._]", "-", self.path.resolve().name.lower())
        return name[:50].strip("-._").removesuffix(".json") or "found"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes out of the folder.

        Raises:
            RequestError: if one is in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RequestError(
                f"another process is searching in {self.path}: wait for it, or choose another --output"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @property
    def claimed(self) -> bool:
        """Whether it holds a search."""
        return self._search.exists()

    def claim(self, search: Search, key: str, start: str) -> None:
        """Makes the folder this search's, or checks that it is.

        Args:
            search: what is asked.
            key: of everything that decides the outcome, but for what may be extended.
            start: content key of the start.

        Raises:
            RequestError: if it holds another search, more generations of this one, or something else.
        """
        asked = {"key": key, "start": start, "search": search.model_dump(mode="json")}
        if self.claimed:
            before = self._read_search()
            if before["key"] != key:
                raise RequestError(
                    f"{self.path} holds another search ({_difference(before, asked)}): choose another --output"
                )
            if self.generations() > search.generations:
                raise RequestError(
                    f"{self.path} has {self.generations()} generations already: ask for as many or more, or choose "
                    "another --output"
                )
        elif any(not entry.name.startswith(".") for entry in self.path.iterdir()):
            raise RequestError(f"{self.path} is not empty, and holds no search: choose another --output")
        write_atomically(self._search, json.dumps(asked, indent=2) + "\n")

    def _read_search(self) -> JsonObject:
        try:
            said = json.loads(self._search.read_bytes())
            if {"key", "start", "search"} <= said.keys():
                return dict(said)
        except (ValueError, AttributeError):
            pass
        raise RequestError(f"{self._search} is damaged: choose another --output, or delete the folder")

    def generations(self) -> int:
        """How many are finished."""
        found = 0
        while self._file(found + 1).exists():
            found += 1
        return found

    def _file(self, generation: int) -> Path:
        return self._generations / f"{generation:04}.safetensors"

    def save(self, generation: Generation, key: str) -> None:
        """Writes a checkpoint; the scores of the members are in it, and leave the journal."""
        arrays = dict(generation.state)
        for field, parts in generation.mean.items():
            arrays |= {f"{MEAN}.{field}.{part}": np.asarray(array) for part, array in parts.items()}
        arrays |= {name: getattr(generation, name) for name in PER_MEMBER}
        metadata = {
            "generation": str(generation.number),
            "key": key,
            "seconds": repr(generation.seconds),
            "busy": repr(generation.busy),
            "steps": str(generation.steps),
            "workers": str(generation.workers),
        }
        contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        write_atomically(self._file(generation.number), save(contiguous, metadata))
        self._journal.unlink(missing_ok=True)

    def load(self, number: int, key: str, like: Numbers, population: int) -> Generation:
        """Reads a checkpoint.

        Args:
            number: of the generation.
            key: of the search.
            like: numbers as the mean has them.
            population: how many members there are.

        Raises:
            RequestError: if it is damaged or another search's.
        """
        file = self._file(number)
        try:
            with safe_open(file, framework="numpy") as opened:
                about: dict[str, str] = opened.metadata() or {}
                arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # no mapping
            if about["key"] != key or about["generation"] != str(number):
                raise RequestError(f"{file} is of another search: choose another --output")
            mean = {
                field: {
                    part: _checked(arrays.pop(f"{MEAN}.{field}.{part}"), first)
                    for part, first in parts.items()
                }
                for field, parts in like.items()
            }
            per_member = {name: arrays.pop(name) for name in PER_MEMBER}
            if any(array.shape != (population,) for array in per_member.values()):
                raise ValueError("not one number for each member")
            return Generation(
                number=number,
                mean=mean,
                state=arrays,
                **per_member,
                seconds=float(about["seconds"]),
                busy=float(about["busy"]),
                steps=int(about["steps"]),
                workers=int(about["workers"]),
            )
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise self.damage(number) from error

    def damage(self, number: int) -> RequestError:
        """What to say of a checkpoint that cannot be used."""
        return RequestError(
            f"{self._file(number)} is damaged: delete it and those after it, and the search goes on from generation "
            f"{number - 1}"
        )

    def scores(self, generation: int) -> dict[int, Score]:
        """Scores that the journal has of a generation, by member; a line that was cut short does not count."""
        try:
            lines = json_lines(self._journal.read_bytes())
        except FileNotFoundError:
            return {}
        found: dict[int, Score] = {}
        for line in lines:
            try:
                score = Score(**json.loads(line, parse_constant=float))
            except (ValueError, TypeError):
                continue
            if score.generation == generation:
                found[score.index] = score
        write_atomically(self._journal, "".join(map(_line, found.values())))
        return found

    def note(self, score: Score) -> None:
        """Adds a score to the journal."""
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(_line(score))


def _line(score: Score) -> str:
    return json.dumps(vars(score)) + "\n"


def _checked(found: np.ndarray, like: np.ndarray) -> np.ndarray:
    if found.shape != like.shape or not np.isfinite(found).all():
        raise ValueError(f"{found.shape} where {like.shape} finite numbers belong")
    return found


def _difference(before: JsonObject, asked: JsonObject) -> str:
    """Which field tells two searches apart, in words."""
    for name, value in asked["search"].items():
        other = before["search"].get(name)
        if name not in (*EXTENDABLE, "start") and other != value:
            return f"{name} = {other!r} there, {value!r} here"
    if before["start"] != asked["start"]:
        return "it began elsewhere"
    return "the same request, but of other agents, data or versions of components"
