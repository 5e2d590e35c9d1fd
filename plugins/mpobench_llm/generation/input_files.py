"""Text and JSON files of the user, with errors in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mpobench import RequestError
from mpobench.files.text import expanded


def read_text(path: Path, kind: str) -> str:
    """Reads a file of UTF-8.

    Args:
        path: Path of the file.
        kind: Name of such files in errors: ``instructions``.

    Raises:
        RequestError: If it is missing or not text.
    """
    try:
        return expanded(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise RequestError(f"{kind} {path}: not a text file in UTF-8") from None
    except OSError as error:
        raise RequestError(f"cannot read {kind} {path}: {(error.strerror or str(error)).lower()}") from error


def read_objects(path: Path, kind: str) -> list[dict[str, Any]]:
    """Reads a JSON list of objects, or one object a line if the file's name ends in ``.jsonl``.

    Raises:
        RequestError: If it holds anything else, with the place of the first fault.
    """
    text = read_text(path, kind)
    try:
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            rows = json.loads(text)
    except ValueError as error:
        raise RequestError(f"{kind} {path}: not valid JSON ({error})") from None
    if not isinstance(rows, list) or not rows:
        raise RequestError(f'{kind} {path}: a list of objects is expected, [{{"instruction": …}}, …]')
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise RequestError(f"{kind} {path}: entry {number} is no object")
    return rows


def field(row: dict[str, Any], name: str, number: int, path: Path, kind: str) -> str:
    """The text of a field of an object of :func:`read_objects`.

    Args:
        row: Object.
        name: Name of the field.
        number: Number of the object in its file, from 1.
        path: Path of the file.
        kind: Name of such files in errors.

    Raises:
        RequestError: If it is missing or no text.
    """
    value = row.get(name)
    if not isinstance(value, str):
        raise RequestError(
            f"{kind} {path}: entry {number} has no text {name!r} (it has {', '.join(row) or 'nothing'})"
        )
    return value
