"""The cache: the folder of files that runs share."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mpobench.errors import RequestError
from mpobench.files import locks
from mpobench.files.atomic import write_atomically
from mpobench.files.text import expanded

_NO_HOME = "set MPOBENCH_CACHE to a folder that can be written"


TAG = "CACHEDIR.TAG"
"""File that says of a folder that it is a cache, to backup programs too (https://bford.info/cachedir)."""

_TAG_CONTENT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder is a cache of mpobench: everything in it can be made again.\n"
)


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
        if not cache.exists() or not any(cache.iterdir()):
            write_atomically(cache / TAG, _TAG_CONTENT)
        write_atomically(probe, b"\0" * 4096)
        probe.unlink(missing_ok=True)
    except (RequestError, OSError) as error:
        raise RequestError(
            f"the cache cannot be used: {error}; set MPOBENCH_CACHE to another folder"
        ) from error


def users(cache: Path) -> list[str]:
    """Hosts and processes that use the cache now: ``node1-4242``."""
    marks = users_folder(cache).glob("*.lock")
    found = (mark.with_name(mark.name.removesuffix(".lock")) for mark in marks)
    return sorted(mark.name.rpartition("-")[0] for mark in found if locks.is_held(mark))


def users_folder(cache: Path) -> Path:
    """Folder of the locks that processes hold while they use the cache."""
    return cache / ".in-use"


def cleaning_lock(cache: Path) -> Path:
    """File whose lock is held while a cache is cleaned."""
    return cache / ".cleaning"


@contextmanager
def in_use(cache: Path) -> Iterator[Path]:
    """Keeps everything in the cache from being removed while the context is open; waits for a cleaning to end.

    Yields:
        The cache.

    Raises:
        RequestError: If the cache cannot be made or written.
    """
    check_cache(cache)
    place = users_folder(cache) / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    with ExitStack() as stack:
        with locks.lock(cleaning_lock(cache)):
            stack.enter_context(locks.held_while_open(place))
        yield cache
