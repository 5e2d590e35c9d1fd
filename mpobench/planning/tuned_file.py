"""Tuned files: for an environment, a corruption and an objective the values that tuning found, and how it did.

A file is TOML, written by ``mpobench tune``, and read strictly::

    format = "mpobench-tuned/1"

    [[tuned]]
    env = "tla"
    corruption = "noisy:0.1"
    objective = "dpo"
    …

    [tuned.fields]
    beta = 0.31

    [tuned.training]
    po_learning_rate = 2.4e-6
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field, ValidationError, model_validator

from mpobench.errors import RequestError, problems
from mpobench.files.atomic import write_atomically
from mpobench.protocols import Scale
from mpobench.protocols.component import Strict

FIRST_TUNING_SEED = 1000
"""Tuning trains on seeds from here on, and reported seeds begin at 0: a suite with tuned values stays below."""

FIRST_HELD_OUT_SEED = 2000
"""What tuning found is measured on seeds from here on."""

Value: TypeAlias = bool | int | float | str

_HEAD = "# Tuned values, made by mpobench tune: name this file in a suite (tuned = ...), or with --tuned.\n"


@dataclass(frozen=True)
class TunedValues:
    """Values that lie above the defaults of an environment, and below what the user states.

    Attributes:
        fields: Fields of the objective.
        training: Fields of the environment's training configuration.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


class TunedEntry(Strict):
    """The outcome of one tuning.

    Attributes:
        env: Canonical spec, like the next two.
        corruption: Corruption of the dataset.
        objective: Objective, with the fields that were set beforehand.
        fields: Tuned fields of the objective.
        training: Tuned fields of the training configuration.
        scale: Amount of work of a trial's trainings.
        evaluator: Evaluator of the score.
        score: Mean of the evaluator's first metric over the tuning seeds. The best of many, so optimistic: see
            ``held_out``.
        held_out: Mean of that metric on held-out seeds; None if it diverged on all of them.
        held_out_error: Its standard error.
        default: The same mean, of the defaults that tuning began with.
        default_error: Its standard error.
        trials: Number of configurations tried.
        trainings: Number of trainings that they took.
        tuning_seeds: Seeds of those trainings: ``1000 to 1008``.
        held_out_seeds: Held-out seeds, likewise.
        edges: A line for each value that lies on an edge of its range: the optimum may be beyond it.
        fixed: Fields of the training configuration that were set beforehand, so not tuned.
        everywhere: Whether the values count on other corruptions too, where the file has nothing for the objective.
        dataset: Content key of the environment and its datasets (agents, task, number of pairs) at that scale.
        mpobench: Version that tuned.
    """

    env: str = Field(min_length=1)
    corruption: str = Field(min_length=1)
    objective: str = Field(min_length=1)
    scale: Scale
    evaluator: str
    score: float
    held_out: float | None = None
    held_out_error: float | None = None
    default: float | None = None
    default_error: float | None = None
    trials: int = Field(ge=1)
    trainings: int = Field(ge=1)
    tuning_seeds: str
    held_out_seeds: str
    edges: tuple[str, ...] = ()
    dataset: str
    mpobench: str
    fields: Mapping[str, Value] = {}
    training: Mapping[str, Value] = {}
    fixed: Mapping[str, Any] = Field({}, exclude_if=lambda fixed: not fixed)
    everywhere: bool = Field(False, exclude_if=lambda everywhere: not everywhere)

    @property
    def place(self) -> tuple[str, str, str]:
        """Environment, corruption and objective."""
        return self.env, self.corruption, self.objective

    @property
    def values(self) -> TunedValues:
        """The tuned values."""
        return TunedValues(self.fields, self.training)

    def __str__(self) -> str:
        return f"{self.objective} on {self.env} {self.corruption}"


class TunedFile(Strict):
    """A whole file.

    Attributes:
        format: Format of the file.
        tuned: Entries, each of another environment, corruption or objective.
    """

    format: Literal["mpobench-tuned/1"] = "mpobench-tuned/1"
    tuned: tuple[TunedEntry, ...] = ()

    @model_validator(mode="after")
    def _once_each(self) -> TunedFile:
        seen: set[tuple[str, str, str]] = set()
        everywhere: dict[tuple[str, str], TunedEntry] = {}
        for entry in self.tuned:
            if entry.place in seen:
                raise ValueError(f"{entry} is there twice")
            seen.add(entry.place)
            row = entry.env, entry.objective
            if entry.everywhere and (other := everywhere.setdefault(row, entry)) is not entry:
                raise ValueError(
                    f"{other} and {entry} both count everywhere: remove everywhere from one of them"
                )
        return self

    @classmethod
    def read(cls, path: Path) -> TunedFile:
        """Reads a file.

        Raises:
            RequestError: In one line, if it cannot be read or is not a tuned file.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise RequestError(
                f"cannot read tuned values {path}: {error.strerror}; `mpobench tune` makes some"
            ) from error
        except ValueError as error:  # malformed TOML, or not UTF-8
            raise RequestError(f"{path} is not a TOML file: {error}") from error
        if "format" not in values:
            raise RequestError(f'{path} is not a file of tuned values: it has no format = "mpobench-tuned/1"')
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise RequestError(f"{path} is not a file of tuned values: {problems(error)[0]}") from error

    def text(self) -> str:
        """The file as TOML, entries sorted: the same entries give the same text."""
        import tomli_w

        entries = sorted(self.tuned, key=lambda entry: entry.place)
        content = {
            "format": self.format,
            "tuned": [entry.model_dump(mode="json", exclude_none=True) for entry in entries],
        }
        return _HEAD + tomli_w.dumps(content)

    def write(self, path: Path) -> None:
        """Writes the file atomically.

        Raises:
            RequestError: If it cannot be written.
        """
        write_atomically(path, self.text())

    def updated(self, entries: Iterable[TunedEntry]) -> TunedFile:
        """The file with other entries in place of its own for the same environment, corruption and objective.

        An entry in the place of one that counts everywhere does so too. Where a new entry counts everywhere, earlier
        ones of the objective no longer do.
        """
        by_place = {entry.place: entry for entry in self.tuned}
        for new in entries:
            before = by_place.get(new.place)
            everywhere = new.everywhere or (before is not None and before.everywhere)
            if everywhere:
                for place, entry in by_place.items():
                    if (entry.env, entry.objective) == (new.env, new.objective):
                        by_place[place] = entry.model_copy(update={"everywhere": False})
            by_place[new.place] = new.model_copy(update={"everywhere": everywhere})
        return TunedFile(tuned=tuple(by_place.values()))
