"""A scheduler of dask and its workers, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import descendants, wait_until

from mpobench.results.store import ResultStore


class DaskScheduler:
    """A scheduler and workers as an administrator starts them; all of them end with :meth:`close`.

    Args:
        folder: Folder of their logs.
        environment: Their environment variables.

    Attributes:
        nannies: Processes of ``dask worker``, in the order in which they were started.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        # A launcher in this process may have set what its own workers log.
        self.folder, self._environment = folder, environment | {"DASK_LOGGING__DISTRIBUTED": "info"}
        folder.mkdir()
        file = folder / "scheduler.json"
        self._started: list[subprocess.Popen[bytes]] = []
        self.nannies: list[subprocess.Popen[bytes]] = []
        self.process = self._start(
            "distributed.cli.dask_scheduler",
            *("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)),
        )
        wait_until(lambda: file.exists() and file.read_text().rstrip().endswith("}"))
        self.address: str = json.loads(file.read_text())["address"]

    def worker(
        self, *args: str, count: int = 1, prefix: tuple[str, ...] = (), **variables: str
    ) -> subprocess.Popen[bytes]:
        """Starts ``dask worker``, and waits until the scheduler knows its workers.

        Args:
            *args: Arguments; by default, two workers of one thread.
            count: Number of workers that these arguments start.
            prefix: Program that starts it, if it is another one.
            **variables: Environment variables.
        """
        if not args:
            args, count = ("--nthreads", "1", "--nworkers", "2"), 2
        log = self.folder / f"{len(self._started)}.log"
        nanny = self._start(
            "distributed.cli.dask_worker", self.address, "--no-dashboard", *args, prefix=prefix, **variables
        )
        self.nannies.append(nanny)
        wait_until(lambda: log.read_text().count("Registered to:") == count)
        return nanny

    def _start(
        self, module: str, *args: str, prefix: tuple[str, ...] = (), **variables: str
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{len(self._started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", module, *args],
                env={**self._environment, **variables},
                cwd=self.folder,  # not the folder of the run: paths have to be absolute
                stdout=log,
                stderr=log,
            )
        self._started.append(process)
        return process

    def close(self) -> None:
        for process in self._started:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kills a process and all below it."""
    for pid in (*descendants(process.pid), process.pid):
        kill(pid)
    process.wait()


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def workers_of(pid: int) -> list[int]:
    """Worker processes below one: those that multiprocessing has spawned."""
    return [each for each in sorted(descendants(pid)) if b"spawn_main" in command_line(each)]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def without_seconds(folder: Path) -> dict[str, Any]:
    """Results of a folder by key, as JSON text, without what a clock decides."""
    return {
        result.key: result.model_copy(update={"seconds": {}}).to_json()
        for result in ResultStore(folder).load_all()
    }


def said(text: str) -> list[str]:
    """Lines on stderr that are not progress."""
    return [line for line in text.splitlines() if not line.startswith("[")]
