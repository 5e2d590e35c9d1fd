"""The local launcher: worker processes on this machine, with one thread each.

Two processes with one thread each do twice the work of one process with two.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mpobench.cores import available_cores
from mpobench.protocols import Launcher, Listener, Workers
from mpobench.running.process_pool import ProcessPool


class Local(Launcher):
    """Worker processes on this machine, one per core unless told otherwise.

    Workers end with the parent, however it ends: a pipe that only the parent holds open tells them.
    """

    @contextmanager
    def open(self, workers: int | None, report: Listener) -> Iterator[Workers]:
        """A process pool; see :meth:`mpobench.Launcher.open`."""
        count = workers or available_cores()
        pool = ProcessPool(count, report)
        try:
            yield Workers(pool, lambda: count)
            pool.shutdown()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
