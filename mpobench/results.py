"""The outcome of every cell, one JSON file each, and the folder that keeps them.

A file is written atomically when its cell is done, under the cell's content key: an interrupted run loses
only the cells in flight, and the same cell is never computed twice. Published leaderboards keep the same
records one a line (JSON lines).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    ValidationError,
    field_serializer,
    model_validator,
)

from mpobench.atomic import write_atomically
from mpobench.errors import RequestError
from mpobench.protocols import JsonObject, Scale
from mpobench.workspace import Sample

Status: TypeAlias = Literal["ok", "skipped", "diverged", "error"]
"""How a cell ended: finished, refused beforehand, left the finite numbers, or raised."""

Origin: TypeAlias = Literal["human", "ours", "discovered"]
"""Who designed the objective, as its card says."""

_SECRET = re.compile(r"(^|[_-])(api[_-]?key|password|passwd|secret|(access|auth|bearer|hf)[_-]?token)$", re.I)

OnBad: TypeAlias = Callable[["ResultFileError"], None]
"""Told of each file (or line) that is no result; the others are read all the same."""


class ResultFileError(RequestError):
    """A file, or a line of one, that is truncated or not a result of ours.

    Args:
        problem: which file, and what is wrong with it.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.problem}: delete it or move it away"


class CellResult(BaseModel):
    """What one cell of the matrix (environment × corruption × objective × seed × evaluator) came to.

    It holds what decides the result and what came out, never environment variables; fields of ``config``
    whose name says secret (``api_key``, ``auth_token``) are redacted when written.

    Attributes:
        format: of this record; another number means another version of mpobench wrote it.
        key: content key of the cell, and its file's name.
        training_key: content key of the trained policy, shared by the cells of all its evaluators.
        dataset_key: content key of the preference dataset.
        env: canonical spec text, like the next three.
        corruption: of the dataset.
        objective: of the training.
        evaluator: of the policy.
        seed: of dataset and training.
        scale: how much work was spent.
        origin: who designed the objective.
        plugin: distribution and version that the objective comes from: ``mpobench 0.1.0``.
        status: how it ended.
        reason: why it did not end ``ok``, one line; required then.
        metrics: the evaluator's numbers, all finite; ``primary`` is among them if the status is ``ok``.
        primary: name of the metric to rank by.
        unit: of the primary metric: ``return``, ``%``.
        higher_is_better: direction of the primary metric.
        curves: one list per quantity, one entry per epoch; a number that is not finite is written as null.
        seconds: wall time per phase.
        samples: of what the policy did; not written where there are none.
        config: the resolved configuration of environment, dataset, objective, training and evaluation.
            Cells of one objective on one corruption whose configurations differ are never averaged together.
        versions: of the packages that computed it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["mpobench-cell/1"] = "mpobench-cell/1"
    key: str = Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")
    training_key: str
    dataset_key: str
    env: str
    corruption: str
    objective: str
    evaluator: str
    seed: NonNegativeInt
    scale: Scale
    origin: Origin
    plugin: str
    status: Status
    reason: str = ""
    metrics: dict[str, float] = {}
    primary: str = ""
    unit: str = ""
    higher_is_better: bool = True
    curves: dict[str, list[Annotated[float, Field(allow_inf_nan=True)] | str | None]] = {}
    seconds: dict[str, float] = {}
    samples: tuple[Sample, ...] = Field((), exclude_if=lambda samples: not samples)
    config: JsonObject = {}
    versions: dict[str, str] = {}

    @model_validator(mode="after")
    def _says_what_happened(self) -> CellResult:
        if self.status == "ok" and self.primary not in self.metrics:
            raise ValueError(f"the primary metric {self.primary!r} is not among the metrics")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"a cell that ended {self.status!r} needs a reason")
        return self

    @field_serializer("config")
    def _without_secrets(self, config: JsonObject) -> JsonObject:
        redacted: JsonObject = _redact(config)
        return redacted

    def to_json(self) -> bytes:
        """The record as one line of strict JSON (no NaN), without the newline."""
        return self.model_dump_json().encode()


def _redact(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: "redacted" if item and _SECRET.search(name) else _redact(item)
            for name, item in value.items()
        }
    return [_redact(item) for item in value] if isinstance(value, list | tuple) else value


class ResultStore:
    """A results folder: ``cells/<key>.json``, one file per cell.

    Args:
        folder: the folder; made when the first result is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / "cells"

    def path(self, key: str) -> Path:
        """Where the result of a cell is, or would be."""
        return self.cells / f"{key}.json"

    def check_writable(self) -> None:
        """Makes the folder and tries to write into it, so that a run fails before it computes anything.

        Raises:
            RequestError: if the folder cannot be made or written.
        """
        probe = self.cells / ".probe"
        write_atomically(probe, b"\0" * 4096)
        probe.unlink(missing_ok=True)

    def save(self, result: CellResult) -> None:
        """Writes a result, replacing an earlier one of the same cell.

        Raises:
            RequestError: if the file cannot be written.
        """
        write_atomically(self.path(result.key), result.to_json() + b"\n")

    def load(self, key: str) -> CellResult | None:
        """The result of a cell, or None if there is none.

        Raises:
            ResultFileError: if the file is truncated or not ours.
        """
        try:
            return _read(os.fspath(self.path(key)), key)
        except ResultFileError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def set_aside(self, key: str) -> Path:
        """Renames the file of a cell, one that cannot be read, so that its cell may run again and nothing is lost.

        Returns:
            Where it is now.
        """
        damaged = self.path(key)
        return damaged.replace(damaged.with_suffix(".json.damaged"))

    def load_all(self, on_bad: OnBad | None = None) -> list[CellResult]:
        """All results, by key; an absent folder has none.

        Args:
            on_bad: called for each bad file, in the files' order, which then counts as missing.

        Raises:
            ResultFileError: for the first bad file, without ``on_bad``.
        """
        try:
            with os.scandir(self.cells) as entries:
                files = sorted((e.name[:-5], e.path) for e in entries if e.name.endswith(".json"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RequestError(f"cannot read {self.cells}: {_why(error)}") from error
        return _collect((partial(_read, path, key) for key, path in files), on_bad)


def read_results(path: Path, on_bad: OnBad | None = None) -> list[CellResult]:
    """Reads a results folder, or a published ``.jsonl`` file.

    Args:
        path: a folder that ``mpobench run`` wrote, or a file of one result a line.
        on_bad: as in :meth:`ResultStore.load_all`.

    Raises:
        RequestError: if there is nothing at ``path``, or it is neither of the two.
        ResultFileError: for the first bad file or line, without ``on_bad``.
    """
    if path.is_dir():
        return ResultStore(path).load_all(on_bad)
    if not path.exists():
        raise RequestError(
            f"no results at {path}: make some with `mpobench run`, or name the folder that has them"
        )
    if path.suffix != ".jsonl":
        raise RequestError(f"{path} holds no results: give a results folder or a .jsonl file")
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RequestError(f"cannot read {path}: {_why(error)}") from error
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    return _collect((partial(_parse, line, f"{path}, line {number}") for number, line in numbered), on_bad)


def jsonl(results: Iterable[CellResult]) -> bytes:
    """Results as JSON lines, sorted by key: the same results give the same bytes."""
    return b"".join(result.to_json() + b"\n" for result in sorted(results, key=lambda result: result.key))


def write_jsonl(results: Iterable[CellResult], path: Path) -> None:
    """Publishes results as one file, atomically.

    Raises:
        RequestError: if the file cannot be written.
    """
    write_atomically(path, jsonl(results))


def _collect(readers: Iterable[Callable[[], CellResult]], on_bad: OnBad | None) -> list[CellResult]:
    results = []
    for read in readers:
        try:
            results.append(read())
        except ResultFileError as error:
            if on_bad is None:
                raise
            on_bad(error)
    return results


def _read(path: str, key: str) -> CellResult:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # ten thousand Path objects cost as much as the parsing
            content = file.read()
    except OSError as error:
        raise ResultFileError(_bad(path, _why(error))) from error
    result = _parse(content, path)
    if result.key != key:
        raise ResultFileError(_bad(path, f"it holds the cell {result.key}"))
    return result


def _parse(content: bytes, place: str) -> CellResult:
    try:
        return CellResult.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ResultFileError(_bad(place, f"{where}: {first['msg']}" if where else first["msg"])) from error


def _bad(place: str, reason: str) -> str:
    return f"{place} is truncated or not a result of mpobench ({reason})"


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
