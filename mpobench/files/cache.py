"""The cache: the folder of files that runs share."""

from __future__ import annotations

import os
from pathlib import Path

from mpobench.errors import RequestError
from mpobench.files.atomic import write_atomically
from mpobench.files.text import expanded

_NO_HOME = "set MPOBENCH_CACHE to a folder that can be written"


def cache_folder() -> Path:
    """Folder of rollouts, SFT stages and compiled programs: ``$MPOBENCH_CACHE``, or the user's cache.

    Raises:
        RequestError: If the user has no home, and no variable names a folder.
    """
    if chosen := os.environ.get("MPOBENCH_CACHE"):
        return expanded(chosen, _NO_HOME).resolve()
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache", _NO_HOME).resolve() / "mpobench"


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
