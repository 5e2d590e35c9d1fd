"""Files that tell processes to wait for each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


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
