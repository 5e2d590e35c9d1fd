"""Removal of old files from the cache: what is there, what goes, and what a running process holds."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpobench.errors import MpobenchError, RequestError
from mpobench.files import locks
from mpobench.files.cache import TAG, cleaning_lock, users, users_folder

DAY = 86_400.0


@dataclass(frozen=True)
class Entry:
    """A file or folder that is made, used and removed as a whole.

    Attributes:
        path: Its path.
        kind: Folder of the cache that it is in: ``rollouts``; ``files`` for one that is in none.
        size: Bytes.
        used: Time of its last reading or writing, in seconds since the epoch, as exact as the file system keeps it
            (Linux: to a day).
    """

    path: Path
    kind: str
    size: int
    used: float

    @property
    def lock(self) -> Path:
        """File whose lock its maker holds."""
        return self.path.with_name(self.path.name.removesuffix(".lock"))


def entries(cache: Path) -> list[Entry]:
    """Everything in a cache that can be removed, the longest unused first. Locks go with what they belong to.

    Raises:
        RequestError: If the folder cannot be read.
    """
    own = {TAG, users_folder(cache).name, f"{cleaning_lock(cache).name}.lock"}
    found: list[Entry] = []
    try:
        for place in cache.iterdir():
            if place.name in own:
                continue
            if not place.is_dir() or place.is_symlink():
                found += _entry(place, "files")
                continue
            for child in place.iterdir():
                found += _entry(child, place.name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RequestError(
            f"cannot read the cache {cache}: {(error.strerror or str(error)).lower()}"
        ) from error
    return sorted(found, key=lambda entry: (entry.used, entry.path))


def _entry(path: Path, kind: str) -> Iterator[Entry]:
    """The entry of a path; none for the lock of a file that is there, and for what has just vanished."""
    if path.name.endswith(".lock") and path.with_name(path.name.removesuffix(".lock")).exists():
        return
    with contextlib.suppress(FileNotFoundError):
        files = [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]
        size, used = 0, 0.0
        for file in files:
            status = file.lstat()
            used = max(used, status.st_mtime)
            if not stat.S_ISDIR(status.st_mode):  # looking into a folder, as here, counts as reading it
                size, used = size + status.st_size, max(used, status.st_atime)
        yield Entry(path, kind, size, used)


def chosen(
    found: Sequence[Entry], older_than: float | None, keep: int | None, now: float | None = None
) -> list[Entry]:
    """The entries to remove.

    Args:
        found: Entries, the longest unused first.
        older_than: Days; entries that were not used for longer go. None: age alone removes nothing.
        keep: Bytes; of what is left, the longest unused go until no more is there. None: there is no such limit.
        now: Time, in seconds since the epoch.
    """
    now = time.time() if now is None else now
    old = [] if older_than is None else [each for each in found if now - each.used > older_than * DAY]
    gone = {each.path for each in old}
    rest = [each for each in found if each.path not in gone]
    left = sum(each.size for each in rest)
    for each in rest if keep is not None else ():
        if keep is not None and left > keep:
            old.append(each)
            left -= each.size
    return old


def check_cache_tag(cache: Path, default: bool) -> None:
    """Refuses a folder that may be something else than a cache.

    Args:
        cache: Folder of the cache.
        default: Whether it is the default one, which nobody uses for anything else.

    Raises:
        RequestError: If it does not say that it is a cache.
    """
    if cache.exists() and not default and not (cache / TAG).is_file():
        raise RequestError(
            f"{cache} is not known to be a cache (it has no {TAG}, which mpobench writes into a new one), "
            "and nothing is removed from it: make that file if it is one"
        )


@dataclass
class Cleaned:
    """What a cleaning has done.

    Attributes:
        removed: Entries that are gone.
        held: Entries that a process holds, and that stay.
    """

    removed: list[Entry]
    held: list[Entry]


def remove(cache: Path, going: Iterable[Entry]) -> Cleaned:
    """Removes entries. One whose lock is held stays; none is ever seen in part.

    Raises:
        MpobenchError: If a process uses the cache; nothing is removed then.
        RequestError: If a file cannot be removed.
    """
    done = Cleaned([], [])
    with locks.lock(cleaning_lock(cache)):
        if busy := users(cache):
            raise MpobenchError(
                f"the cache is in use by {', '.join(busy)}, and nothing was removed: clean it when that has ended"
            )
        shutil.rmtree(users_folder(cache), ignore_errors=True)  # marks of processes that were killed
        for entry in going:
            if locks.is_held(entry.lock):
                done.held.append(entry)
                continue
            try:
                _remove(entry)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise RequestError(
                    f"cannot remove {entry.path}: {reason}; {len(done.removed)} entries are gone"
                ) from error
            done.removed.append(entry)
    return done


def _remove(entry: Entry) -> None:
    with locks.lock(entry.lock):
        if entry.path.is_dir() and not entry.path.is_symlink():
            # A folder is gone in one step: a kill leaves no half of it under its name.
            going = entry.path.with_name(f".{entry.path.name}.{secrets.token_hex(3)}.tmp")
            entry.path.replace(going)
            shutil.rmtree(going)
        else:
            entry.path.unlink(missing_ok=True)
        entry.lock.with_name(f"{entry.lock.name}.lock").unlink(missing_ok=True)
