"""The local launcher: worker processes on this machine.

Workers start fresh (*spawn*), because jax does not survive a fork; each uses one thread, since two processes with one
thread each do twice the work of one process with two.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue

from mpobench import progress
from mpobench.protocols import Launcher


def _start_worker(lifeline: Connection, reports: SimpleQueue[tuple[str, str, float] | None]) -> None:
    """Runs first in every worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.dup2(2, 1)  # libraries print where they like; stdout is for the result alone
    progress.connect(reports)

    def leave_with_parent() -> None:
        try:
            lifeline.recv_bytes()  # nothing is ever sent: this returns when the parent's end closes
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()


class Local(Launcher):
    """Worker processes on this machine, one per core unless told otherwise.

    Workers end with the parent, however it ends: a pipe that only the parent holds open tells them.
    """

    @contextmanager
    def open(self, workers: int | None, report: Callable[[str, str, float], None]) -> Iterator[Executor]:
        """A process pool; see :meth:`mpobench.Launcher.open`."""
        context = multiprocessing.get_context("spawn")
        lifeline, held_by_parent = context.Pipe(duplex=False)
        reports: SimpleQueue[tuple[str, str, float] | None] = context.SimpleQueue()

        def listen() -> None:
            while (item := reports.get()) is not None:
                report(*item)

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        executor = ProcessPoolExecutor(
            workers or len(os.sched_getaffinity(0)), context, _start_worker, (lifeline, reports)
        )
        try:
            yield executor
            executor.shutdown()
            reports.put(None)  # only now: a worker that was stopped may have died holding the queue's lock
            listener.join()
        finally:
            held_by_parent.close()  # workers that are still busy (Ctrl-C, an error) end here
            executor.shutdown(wait=False, cancel_futures=True)
