"""Files that are either whole or absent: write under a temporary name, then rename."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from mpobench.errors import RequestError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file so that no reader, and no crash, ever sees half of it.

    Missing folders are made; a symbolic link is followed, not replaced.

    Args:
        path: where the file goes; an existing one is replaced.
        content: what it holds; text is written as UTF-8 with the newlines that it has.

    Raises:
        RequestError: if the file cannot be written (no permission, full disk, a folder in its place). Then
            the old file, if any, is untouched.
    """
    target = path.resolve()
    temporary = target.parent / f".mpobench-{secrets.token_hex(6)}.tmp"
    try:
        if target.exists() and not target.is_file():
            raise RequestError(f"cannot write {path}: it is not a regular file; choose another name")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            _discard(temporary)
    except OSError as error:
        raise RequestError(_explain(path, error)) from error


def _discard(temporary: Path) -> None:
    """Removes the temporary file if it is still there; after a rename it is not."""
    try:
        temporary.unlink()
    except OSError:  # never there, or its folder is the problem, which the caller is about to report
        return


def _explain(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"cannot write {path}: the disk is full; free some space and give the same command again"
    reason = (error.strerror or str(error)).lower()
    return f"cannot write {path}: {reason}; choose another place or change its permissions"
