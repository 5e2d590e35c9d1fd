"""Text that users and other programs write: UTF-8, with or without a byte-order mark, lines that end in a newline."""

from __future__ import annotations

import codecs
from pathlib import Path

from mpobench.errors import RequestError


def expanded(path: str | Path, advice: str = "write the path in full") -> Path:
    """A path with the user's home folder in place of ``~``.

    Args:
        path: Path as the user wrote it.
        advice: What to do where there is no home folder, for the error's line.

    Raises:
        RequestError: If the path begins with ``~`` and there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # no HOME, and no entry in the password file
        raise RequestError(f"there is no home folder for {path}: {advice}") from error


def without_mark(content: bytes) -> bytes:
    """Bytes of a text without the byte-order mark that some editors put in front."""
    return content.removeprefix(codecs.BOM_UTF8)


def json_lines(content: bytes) -> list[bytes]:
    """The lines of a ``.jsonl`` file, without their newlines.

    ``splitlines`` also splits at characters that a JSON string may hold, such as U+2028.
    """
    return without_mark(content).split(b"\n")
