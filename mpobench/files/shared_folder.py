"""A check that processes on several machines see one folder: its files, its locks and its renames.

One process holds a probe while the others come and go; each of them answers it before its first work.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from mpobench.errors import RequestError
from mpobench.files import locks
from mpobench.files.atomic import write_atomically


@dataclass(frozen=True)
class Probe:
    """A file and a lock in a folder, held by the process that keeps the run.

    Attributes:
        folder: Folder that machines share.
        token: Content of the file, new for every probe.
    """

    folder: Path
    token: str

    @property
    def place(self) -> Path:
        """Folder of the probe's own files."""
        return self.folder / f".probe-{self.token}"

    @property
    def question(self) -> Path:
        """File that the holder writes, and whose lock it holds."""
        return self.place / "question"

    def answer(self, name: str) -> Path:
        """File that another process writes."""
        return self.place / f"answer-{name}"


@contextmanager
def probe(folder: Path) -> Iterator[Probe]:
    """Writes a probe into a folder and holds its lock; both go at the end.

    Raises:
        RequestError: If the folder cannot be written.
    """
    held = Probe(folder.resolve(), secrets.token_hex(8))
    try:
        write_atomically(held.question, held.token)
        with locks.lock(held.question):
            yield held
    finally:
        shutil.rmtree(held.place, ignore_errors=True)


def answer(probe: Probe) -> str:
    """Checks a folder from another process, and writes an answer into it.

    Returns:
        Name of the answer, for :func:`confirm`.

    Raises:
        RequestError: If this process sees another folder, or takes a lock that the holder has.
    """
    host, name = socket.gethostname(), f"{socket.gethostname()}-{os.getpid()}"
    try:
        seen = probe.question.read_text()
    except OSError:
        seen = ""
    if seen != probe.token:
        raise RequestError(
            f"{host} does not see {probe.folder} as this machine does: name a folder that all machines share"
        )
    try:
        with locks.lock(probe.question).acquire(timeout=0):
            pass
    except Timeout:
        write_atomically(probe.answer(name), probe.token)
        return name
    except (OSError, NotImplementedError) as error:
        raise RequestError(f"{host} cannot lock a file in {probe.folder}: {error}") from error
    raise RequestError(
        f"locks in {probe.folder} do not hold between {host} and this machine: "
        "mount it with locks (flock), or name another folder"
    )


def confirm(probe: Probe, name: str) -> None:
    """Checks that this process sees an answer of another one.

    Raises:
        RequestError: If it does not.
    """
    try:
        seen = probe.answer(name).read_text()
    except OSError:
        seen = ""
    if seen != probe.token:
        raise RequestError(
            f"this machine does not see what {name} renamed in {probe.folder}: name a folder that all machines share"
        )
