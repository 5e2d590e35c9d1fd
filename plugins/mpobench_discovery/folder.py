"""The folder of a search: its settings, a checkpoint per generation, scores of the running generation.

search.json               the settings of the search, and the key of everything that decides the outcome
start.json                the objective at the beginning (an objective file)
generations/0001.safetensors
                          after each generation: the mean (named as in an objective file), the strategy's whole
                          state, fitness and seeds of the members
members.jsonl             the scores of the running generation, one line each
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
from pydantic import ValidationError
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
"""Prefix of the names of the mean's tensors: ``mean.<field>.<part>``."""

PER_MEMBER = ("fitness", "seeds", "evaluation_seeds")
"""Tensors of a checkpoint with one number for each member."""

EXTENDABLE = {"generations"}
"""Settings that may change when a search goes on: it may become longer."""


@dataclass(frozen=True)
class Generation:
    """A finished generation.

    Attributes:
        number: Number of the generation, from 1.
        mean: Mean of the search after it, in the form of the objective's fields.
        state: State of the strategy after it, as named arrays.
        fitness: ``(population,)``, NaN for members that diverged.
        seeds: ``(population,)`` seeds of training, which the two of an antithetic pair share.
        evaluation_seeds: ``(population,)``, likewise.
        seconds: Wall time.
        busy: Seconds of a core in training and evaluation, over all members.
        steps: Environment steps of the evaluation.
        workers: Number of its workers; 0 if it was interrupted.
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
    """The folder of a search.

    Args:
        path: Path of the folder, which is made when a process holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start, self.result = path / "start.json", path / "objective.json"
        self._search, self._journal = path / "search.json", path / "members.jsonl"
        self._generations = path / "generations"

    @property
    def name(self) -> str:
        """Name of the resulting objective: the folder's, without characters that names do not allow."""
        name = re.sub(r"[^a-z0-9._]", "-", self.path.resolve().name.lower())
        return name[:50].strip("-._").removesuffix(".json") or "found"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes out of the folder.

        Raises:
            RequestError: If one is in it.
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
            search: Settings of the search.
            key: Content key of everything that decides the outcome, except the settings in :data:`EXTENDABLE`.
            start: Content key of the start.

        Raises:
            RequestError: If it holds another search, more generations of this one, or something else.
        """
        asked = {"key": key, "start": start, "search": search.model_dump(mode="json")}
        if self.claimed:
            before = self._claim()
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

    def claimed_by(self) -> tuple[Search, str]:
        """The search that the folder holds, and its key.

        Raises:
            RequestError: If the file that says so is damaged.
        """
        claim = self._claim()
        try:
            return Search(**claim["search"]), claim["key"]
        except (ValidationError, TypeError) as error:
            raise self._damaged_claim() from error

    def _claim(self) -> JsonObject:
        try:
            claim = json.loads(self._search.read_bytes())
            if {"key", "start", "search"} <= claim.keys():
                return dict(claim)
        except (ValueError, AttributeError):
            pass
        raise self._damaged_claim()

    def _damaged_claim(self) -> RequestError:
        return RequestError(f"{self._search} is damaged: choose another --output, or delete the folder")

    def generations(self) -> int:
        """Number of finished generations."""
        count = 0
        while self._file(count + 1).exists():
            count += 1
        return count

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
            number: Number of the generation.
            key: Key of the search.
            like: Arrays in the shapes of the mean.
            population: Number of members.

        Raises:
            RequestError: If it is damaged or another search's.
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
        """The error of a checkpoint that cannot be used."""
        return RequestError(
            f"{self._file(number)} is damaged: delete it and those after it, and the search goes on from generation "
            f"{number - 1}"
        )

    def resumed_scores(self, generation: int) -> dict[int, Score]:
        """Scores of a generation in the journal, by member; a line that was cut short does not count.

        The journal is written anew with these alone: it holds the generation that is being scored.
        """
        try:
            lines = json_lines(self._journal.read_bytes())
        except FileNotFoundError:
            return {}
        scores: dict[int, Score] = {}
        for line in lines:
            try:
                score = Score(**json.loads(line, parse_constant=float))
            except (ValueError, TypeError):
                continue
            if score.generation == generation:
                scores[score.index] = score
        write_atomically(self._journal, "".join(map(_line, scores.values())))
        return scores

    def note(self, score: Score) -> None:
        """Adds a score to the journal."""
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(_line(score))


def _line(score: Score) -> str:
    return json.dumps(vars(score)) + "\n"


def _checked(array: np.ndarray, like: np.ndarray) -> np.ndarray:
    if array.shape != like.shape or not np.isfinite(array).all():
        raise ValueError(f"shape {array.shape}, not {like.shape}, or numbers that are not finite")
    return array


def _difference(before: JsonObject, asked: JsonObject) -> str:
    """The field in which two searches differ, in words."""
    for name, value in asked["search"].items():
        other = before["search"].get(name)
        if name not in (*EXTENDABLE, "start") and other != value:
            return f"{name} = {other!r} there, {value!r} here"
    if before["start"] != asked["start"]:
        return "it began elsewhere"
    return "the same request, but of other agents, data or versions of components"
