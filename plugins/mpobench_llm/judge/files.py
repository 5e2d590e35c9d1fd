"""The files that a judge is given: read with errors that say what to do, known by their content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mpobench import RequestError
from mpobench.files.text import expanded
from mpobench_llm.digests import file_digest

RECORD = "training.json"
"""Beside a policy, how long its training took: no part of what it answers."""


def digest(content: str) -> str:
    """SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(content.encode()).hexdigest()


def read_text(path: Path, what: str) -> str:
    """Reads a file of UTF-8.

    Args:
        path: of the file.
        what: it is, for errors: ``instructions``.

    Raises:
        RequestError: if it is not there or not text.
    """
    try:
        return expanded(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise RequestError(f"{what} {path}: not a text file in UTF-8") from None
    except OSError as error:
        raise RequestError(f"cannot read {what} {path}: {(error.strerror or str(error)).lower()}") from error


def read_objects(path: Path, what: str) -> list[dict[str, Any]]:
    """Reads a JSON list of objects, or one object a line if the file's name ends in ``.jsonl``.

    Raises:
        RequestError: if it holds anything else, with the place of the first fault.
    """
    text = read_text(path, what)
    try:
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            rows = json.loads(text)
    except ValueError as error:
        raise RequestError(f"{what} {path}: not valid JSON ({error})") from None
    if not isinstance(rows, list) or not rows:
        raise RequestError(f'{what} {path}: a list of objects is expected, [{{"instruction": …}}, …]')
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise RequestError(f"{what} {path}: entry {number} is no object")
    return rows


def field(row: dict[str, Any], name: str, number: int, path: Path, what: str) -> str:
    """A text of an object that :func:`read_objects` returned.

    Raises:
        RequestError: if it is missing or no text.
    """
    value = row.get(name)
    if not isinstance(value, str):
        raise RequestError(
            f"{what} {path}: entry {number} has no text {name!r} (it has {', '.join(row) or 'nothing'})"
        )
    return value


def folder_digest(folder: Path) -> str:
    """SHA-256 of a policy: names and contents of its files, but for the training's record.

    Raises:
        RequestError: if there are none, or one cannot be read.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    if not files:
        raise RequestError(f"baseline {folder}: an empty folder; a policy is in results/policies/KEY")
    try:
        stamps = [(path.stat().st_mtime_ns, path.stat().st_size) for path in files]
        entries = [
            (str(path.relative_to(folder)), file_digest(path, *stamp))
            for path, stamp in zip(files, stamps, strict=True)
        ]
    except OSError as error:
        raise RequestError(
            f"cannot read baseline {folder}: {(error.strerror or str(error)).lower()}"
        ) from error
    return digest(json.dumps(entries))
