"""The folder of results: one JSON file per cell, and published files of one record a line.

A file is written atomically when its cell is done, under the cell's content key: an interrupted run loses only the
cells in flight, and the same cell is never computed twice.
"""

from __future__ import annotations

import contextlib
import marshal
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError

from mpobench.errors import RequestError, problems
from mpobench.files import locks
from mpobench.files.atomic import write_atomically
from mpobench.files.text import json_lines, without_mark
from mpobench.results.cell_result import CellResult

OnBad: TypeAlias = Callable[["ResultFileError"], None]
"""Told of each file (or line) that is no result; the others are read all the same."""


_READ = 1 << 16
"""Bytes that are read at once; nearly all results are smaller."""

_MOST_SHARED = 10_000
"""Configurations that are remembered to share them."""


class ResultFileError(RequestError):
    """A file, or a line of one, that is truncated or not a result of ours.

    Args:
        problem: The file, and what is wrong with it.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.problem}: delete it or move it away"


class ResultStore:
    """A results folder: ``cells/<key>.json``, one file per cell.

    Args:
        folder: The folder; made when the first result is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / "cells"

    def path(self, key: str) -> Path:
        """The file of a cell's result, whether it exists or not."""
        return self.cells / f"{key}.json"

    def policy_folder(self, training_key: str) -> Path:
        """Folder of a trained policy."""
        return self.folder / "policies" / training_key

    def lock(self, training_key: str) -> Path:
        """File to hold while a training's results are made: its own, so that no other training waits."""
        return self.folder / ".locks" / training_key

    def check_writable(self) -> None:
        """Makes the folder, writes into it and holds a lock there, so that a run fails before it computes anything.

        Raises:
            RequestError: If the folder cannot be made, written or locked.
        """
        probe = self.cells / f".probe-{os.getpid()}"
        try:
            write_atomically(probe, b"\0" * 4096)
            probe.unlink(missing_ok=True)
            with locks.lock(self.lock("probe")):
                pass
        except (RequestError, OSError, NotImplementedError) as error:
            raise RequestError(
                f"results cannot be kept: {error}; name another folder with --results"
            ) from error

    def keys(self) -> set[str]:
        """Keys of the cells that have a file."""
        try:
            with os.scandir(self.cells) as entries:
                return {entry.name[:-5] for entry in entries if entry.name.endswith(".json")}
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise RequestError(f"cannot read {self.cells}: {_why(error)}") from error

    def save(self, result: CellResult) -> None:
        """Writes a result, replacing an earlier one of the same cell.

        Raises:
            RequestError: If the file cannot be written.
        """
        write_atomically(self.path(result.key), result.to_json() + b"\n")

    def load(self, key: str) -> CellResult | None:
        """The result of a cell, or None if there is none.

        Raises:
            ResultFileError: If the file is truncated or not ours.
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
            The new path.
        """
        damaged = self.path(key)
        with contextlib.suppress(FileNotFoundError):  # another run was faster
            damaged.replace(damaged.with_suffix(".json.damaged"))
        return damaged.with_suffix(".json.damaged")

    def load_all(
        self, on_bad: OnBad | None = None, known: Mapping[str, CellResult] | None = None
    ) -> list[CellResult]:
        """All results, by key; an absent folder has none.

        Args:
            on_bad: Function that is called with each bad file, in the files' order; the file then counts as missing.
            known: Results that have been read already, by key. Their files are not read again.

        Raises:
            ResultFileError: For the first bad file, without ``on_bad``.
        """
        known = known or {}
        return _collect((partial(self._known_or_read, key, known) for key in sorted(self.keys())), on_bad)

    def _known_or_read(self, key: str, known: Mapping[str, CellResult]) -> CellResult:
        return known[key] if key in known else _read(f"{self.cells}{os.sep}{key}.json", key)


def read_results(path: Path, on_bad: OnBad | None = None) -> list[CellResult]:
    """Reads a results folder, or a published ``.jsonl`` file.

    Args:
        path: A folder that ``mpobench run`` wrote, or a file of one result a line.
        on_bad: As in :meth:`ResultStore.load_all`.

    Raises:
        RequestError: If there is nothing at ``path``, or it is neither of the two.
        ResultFileError: For the first bad file or line, without ``on_bad``.
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
        lines = json_lines(path.read_bytes())
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
        RequestError: If the file cannot be written.
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
        content = _content(path)
    except OSError as error:
        raise ResultFileError(_bad(path, _why(error))) from error
    result = _parse(content, path)
    if result.key != key:
        raise ResultFileError(_bad(path, f"it holds the cell {result.key}"))
    return result


def _content(path: str) -> bytes:
    """Content of a file. Path and file objects would cost as much as the parsing of a result."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = [os.read(descriptor, _READ)]
        while len(parts[-1]) == _READ:
            parts.append(os.read(descriptor, _READ))
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _parse(content: bytes, place: str) -> CellResult:
    try:
        result = CellResult.model_validate_json(without_mark(content))
    except ValidationError as error:
        raise ResultFileError(_bad(place, problems(error)[0])) from error
    return result.model_copy(update={"config": _shared(result.config), "versions": _shared(result.versions)})


_Shared = TypeVar("_Shared", bound=dict[str, Any])
_known_values: dict[bytes, Any] = {}


def _shared(value: _Shared) -> _Shared:
    """One object for all equal configurations: 100,000 results of a few hundred configurations fit into memory."""
    if len(_known_values) > _MOST_SHARED:
        _known_values.clear()
    same: _Shared = _known_values.setdefault(marshal.dumps(value, 2), value)
    return same


def _bad(place: str, reason: str) -> str:
    return f"{place} is truncated or not a result of mpobench ({reason})"


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
