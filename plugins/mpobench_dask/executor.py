"""An executor on dask's workers: one task at a time for each, so that the loss of one touches no other task."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from typing import Any

from distributed import Client, KilledWorker

from mpobench import LauncherLostError, MpobenchError, WorkerLostError
from mpobench.errors import one_line
from mpobench_dask.deployment import Deployment
from mpobench_dask.task import RunTicket, carry_out

_WATCH = 1.0
"""Seconds between two looks at the workers."""


class DaskExecutor(Executor):
    """An executor of tasks on the workers of a client.

    Tasks that no worker has room for wait here: dask would queue them on a worker, and fail all of them with it.

    Args:
        client: Client of dask.
        deployment: Where its workers are.
        ticket: Run to which the tasks belong.
    """

    def __init__(self, client: Client, deployment: Deployment, ticket: RunTicket) -> None:
        self._client, self._deployment, self.ticket = client, deployment, ticket
        self._lock = threading.RLock()
        self._queue: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = deque()
        self._running: dict[str, tuple[Future[Any], Any]] = {}
        self._numbers = itertools.count()
        self._alive = len(client.nthreads())
        self._lost: MpobenchError | None = None
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def count(self) -> int:
        """Number of tasks that run at the same time, now."""
        return self._alive if self._deployment.limit is None else min(self._alive, self._deployment.limit)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queues a task.

        Raises:
            TypeError: For keyword arguments.
        """
        if kwargs:
            raise TypeError("a task takes positional arguments only")
        future: Future[Any] = Future()
        with self._lock:
            self._queue.append((future, fn, args))
        self._pump()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the watch over the workers; with ``cancel_futures``, tasks end as well."""
        self._closed.set()
        if cancel_futures and self._lost is None:
            self._cancel()

    def _cancel(self) -> None:
        """Takes back what waits, and stops what runs where this process cannot end the workers: they start again."""
        with self._lock:
            self._queue.clear()
            theirs = [future for _, future in self._running.values()]
        with contextlib.suppress(Exception):
            busy = [address for address, keys in self._client.processing().items() if self._ours(keys)]
            self._client.cancel(theirs, force=True)
            if busy and not self._deployment.ours:
                self._client.restart_workers(busy, timeout=10, raise_for_error=False)

    def _ours(self, keys: Any) -> bool:
        return any(key in self._running for key in keys)

    def _pump(self) -> None:
        """Gives tasks to dask as long as a worker has room."""
        failed: list[Future[Any]] = []
        with self._lock:
            if self._lost is not None:
                failed = [future for future, _, _ in self._queue]
                failed += [future for future, _ in self._running.values()]
                self._queue.clear()
                self._running.clear()
            while self._queue and len(self._running) < self.count():
                mine, function, args = self._queue.popleft()
                if not mine.set_running_or_notify_cancel():
                    continue
                key = f"{self.ticket.topic}-{next(self._numbers)}"
                try:
                    theirs = self._client.submit(carry_out, self.ticket, function, args, key=key, pure=False)
                except Exception as error:  # noqa: BLE001  # a connection that is lost, an argument that does not pickle
                    mine.set_exception(self._translated(error))
                    continue
                self._running[key] = mine, theirs
                theirs.add_done_callback(self._ended)
        for future in failed:
            future.set_exception(self._lost)

    def _ended(self, theirs: Any) -> None:
        """Takes a result from dask, in the thread of its callbacks."""
        result, problem = None, None
        try:
            result = theirs.result()
        except BaseException as error:  # noqa: BLE001  # whatever a task raises
            problem = self._translated(error)
        with self._lock:
            mine, _ = self._running.pop(theirs.key, (None, None))
            if mine is None:  # given up with its workers
                return
            if isinstance(problem, WorkerLostError):
                self._alive = max(0, self._alive - 1)
        if problem is None:
            mine.set_result(result)
        else:
            mine.set_exception(problem)
        self._pump()

    def _translated(self, error: BaseException) -> BaseException:
        """An error of dask in the words of a launcher."""
        if isinstance(error, KilledWorker):
            return WorkerLostError(f"dask's worker {error.last_worker.address} ended")
        if isinstance(error, OSError) and self._connected(_WATCH):
            return WorkerLostError(f"its result did not arrive: {one_line(error)}")
        if self._client.status != "running":
            return self._lose(f"{self._deployment.name} does not answer any more")
        if isinstance(error, CancelledError):
            return WorkerLostError("dask cancelled it")
        return error

    def _connected(self, seconds: float) -> bool:
        """Whether the scheduler is there still, some time after a connection has failed."""
        deadline = time.monotonic() + seconds
        while self._client.status == "running" and time.monotonic() < deadline:
            time.sleep(0.05)
        return bool(self._client.status == "running")

    def _lose(self, reason: str) -> MpobenchError:
        """Notes that the workers are gone for good: tasks that wait will not run."""
        with self._lock:
            if self._lost is None:
                self._lost = LauncherLostError(
                    f"{reason}: finished cells are kept, the same command goes on from here"
                )
            return self._lost

    def _watch(self) -> None:
        """Counts the workers, and notices when they or the scheduler are gone, in a thread of its own."""
        seen = time.monotonic()
        while not self._closed.wait(_WATCH):
            try:
                alive = len(self._client.nthreads())
            except Exception:  # noqa: BLE001  # whatever it is: is there a connection?
                if self._client.status != "running" and not self._closed.is_set():
                    self._lose(f"{self._deployment.name} does not answer any more")
                    self._pump()
                continue
            self._alive = alive
            if alive:
                seen = time.monotonic()
            elif (
                self._deployment.patience is not None and time.monotonic() - seen > self._deployment.patience
            ):
                self._lose(
                    f"{self._deployment.name} has had no worker for {self._deployment.patience:g} seconds"
                )
            self._pump()
