"""Files that tell processes to wait for each other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout


def lock(path: Path) -> FileLock:
    """Held while a cached file, folder or program is made, so that two processes never do the same work."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f"{path.name}.lock"))


def once(path: Path, make: Callable[[], None]) -> None:
    """Makes a cached file or folder unless it is there; processes that want it at the same time wait for the first.

    Args:
        path: File or folder, which exists once it is made, whole.
        make: Function that makes it.
    """
    if not path.exists():
        with lock(path):
            if not path.exists():
                make()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of a file; one that cannot be tried counts as held."""
    try:
        with lock(path).acquire(timeout=0):
            return False
    except (Timeout, OSError, NotImplementedError):
        return True


@contextlib.contextmanager
def held_while_open(path: Path) -> Iterator[None]:
    """Holds the lock of a file that belongs to this process alone; file and lock are removed at the end."""
    with lock(path):
        try:
            yield
        finally:
            for file in (path, path.with_name(f"{path.name}.lock")):
                with contextlib.suppress(OSError):
                    file.unlink()
