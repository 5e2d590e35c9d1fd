"""The cache: the folder of files that runs share."""

from __future__ import annotations

import os
from pathlib import Path

from mpobench.errors import RequestError
from mpobench.files.atomic import write_atomically


def cache_folder() -> Path:
    """Folder of rollouts, SFT stages and compiled programs: ``$MPOBENCH_CACHE``, or the user's cache.

    Raises:
        RequestError: If the user has no home, and no variable names a folder.
    """
    if chosen := os.environ.get("MPOBENCH_CACHE"):
        return _expanded(chosen)
    return _expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "mpobench"


def _expanded(folder: str) -> Path:
    try:
        return Path(folder).expanduser().resolve()
    except RuntimeError as error:  # no HOME, and no entry in the password file
        raise RequestError(
            f"there is no home folder for the cache ({folder}): set MPOBENCH_CACHE to a folder that can be written"
        ) from error


def check_cache(cache: Path) -> None:
    """Makes the folder and writes into it, so that a run fails before it computes anything.

    Raises:
        RequestError: If the folder cannot be made or written.
    """
    probe = cache / f".probe-{os.getpid()}"
    try:
        write_atomically(probe, b"\0" * 4096)
        probe.unlink(missing_ok=True)
    except (RequestError, OSError) as error:
        raise RequestError(
            f"the cache cannot be used: {error}; set MPOBENCH_CACHE to another folder"
        ) from error
