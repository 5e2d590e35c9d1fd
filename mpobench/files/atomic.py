"""Files that are either whole or absent: write under a temporary name, then rename."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpobench.errors import DiskFullError, RequestError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file so that no reader, and no crash, ever sees half of it; see :func:`file_atomically`.

    Args:
        path: Place of the file; an existing one is replaced.
        content: Content of the file; text is written as UTF-8 with the newlines that it has.

    Raises:
        RequestError: If the file cannot be written. Then the old file, if any, is untouched.
    """
    with file_atomically(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def file_atomically(path: Path) -> Iterator[Path]:
    """A temporary path for whoever writes a file itself; the file becomes ``path`` at the end, once it is on disk.

    Missing folders are made; a symbolic link is followed, not replaced. After an exception the old file, if any, is
    untouched.

    Raises:
        RequestError: If the file cannot be written (no permission, full disk, a folder in its place).
    """
    target = path.resolve()
    temporary = target.parent / f".mpobench-{secrets.token_hex(6)}.tmp"
    with explained(path):
        if target.exists() and not target.is_file():
            raise RequestError(f"cannot write {path}: it is not a regular file; choose another name")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            _discard(temporary)


@contextmanager
def folder_atomically(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``path`` at the end: whole, or not at all.

    Missing folders are made, and an existing folder is replaced. The caller holds a lock (:mod:`mpobench.files.locks`):
    what a killed process has left of its temporary folder is removed.

    Raises:
        RequestError: If the folder, or a file in it, cannot be written.
    """
    temporary, old = path.with_name(f".{path.name}.tmp"), path.with_name(f".{path.name}.old")
    with explained(path):
        for left in (temporary, old):
            shutil.rmtree(left, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            if path.exists():
                path.replace(old)
            temporary.replace(path)
        finally:
            for left in (temporary, old):
                shutil.rmtree(left, ignore_errors=True)


def _discard(temporary: Path) -> None:
    """Removes the temporary file if it is still there; after a rename it is not."""
    try:
        temporary.unlink()
    except OSError:  # never there, or its folder is the problem, which the caller is about to report
        return


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an error of the operating system into one that names the file and the next step."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"cannot write {path}: the disk is full; free some space and give the same command again"
            ) from error
        reason = (error.strerror or str(error)).lower()
        raise RequestError(
            f"cannot write {path}: {reason}; choose another place or change its permissions"
        ) from error
