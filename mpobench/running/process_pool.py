"""Worker processes, each with a pipe of its own: the loss of one worker touches no other task.

The standard library's pool gives up all its tasks when one worker dies. Workers start fresh (*spawn*), because jax does
not survive a fork.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

from mpobench.errors import MpobenchError, one_line
from mpobench.protocols import Listener, WorkerLostError
from mpobench.running import reports

_FAREWELL = 5.0
"""Seconds that a worker has to end by itself when the pool closes."""

_STARTS = 3
"""Workers that may die in a row before their first task; then the pool gives up."""


def _serve(pipe: Connection, lifeline: Connection) -> None:
    """The main function of a worker: it carries out tasks until its pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.dup2(2, 1)  # libraries print where they like; stdout is for the result alone
    lock = threading.Lock()

    def answer(kind: str, *content: Any) -> None:
        message = pickle.dumps((kind, *content))
        with lock:
            pipe.send_bytes(message)

    def leave_with_parent() -> None:
        try:
            lifeline.recv_bytes()  # nothing is ever sent: this returns when the parent's end closes
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()
    reports.connect(lambda report: answer("report", report))
    with contextlib.suppress(EOFError, OSError):  # the parent has gone
        answer("ready")
        while (message := pipe.recv_bytes()) != b"":
            outcome = _outcome(message)
            try:
                answer(*outcome)
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                answer("failed", RuntimeError(f"the result does not pickle: {error}"))


def _outcome(message: bytes) -> tuple[str, Any]:
    try:
        function, args = pickle.loads(message)
        return "done", function(*args)
    except BaseException as error:  # noqa: BLE001  # a plugin may raise anything, SystemExit included
        return "failed", error if isinstance(error, Exception) else RuntimeError(repr(error))


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    exit: int | Any
    task: Future[Any] | None = None
    ready: bool = False


@dataclass
class _Queue:
    """Tasks that no worker has yet."""

    tasks: deque[tuple[Future[Any], bytes]] = field(default_factory=deque)
    closing: bool = False


class ProcessPool(Executor):
    """An executor on worker processes of this machine.

    Args:
        count: Number of workers; each starts when a task waits for it.
        report: Function that is called with each report of a worker, in a thread of this process.
    """

    def __init__(self, count: int, report: Listener) -> None:
        self._count, self._report = count, report
        self._context = multiprocessing.get_context("spawn")
        self._lifeline, self._held = self._context.Pipe(duplex=False)
        self._wake, self._waker = self._context.Pipe(duplex=False)
        self._lock, self._queue = threading.Lock(), _Queue()
        self._workers: list[_Worker] = []
        self._failed_starts = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queues a task.

        Raises:
            TypeError: For keyword arguments, or a task that does not pickle.
        """
        if kwargs:
            raise TypeError("a task takes positional arguments only")
        try:
            message = pickle.dumps((fn, args))
        except (pickle.PicklingError, AttributeError) as error:
            raise TypeError(f"a task does not pickle: {error}") from error
        future: Future[Any] = Future()
        with self._lock:
            if self._queue.closing:
                raise RuntimeError("the pool is closed")
            self._queue.tasks.append((future, message))
        self._notify()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Closes the pool: when all tasks are done, or at once with ``cancel_futures``."""
        if not self._thread.is_alive():
            return
        with self._lock:
            self._queue.closing = True
            if cancel_futures:
                for future, _ in self._queue.tasks:
                    future.cancel()
                self._queue.tasks.clear()
        if cancel_futures:
            self._held.close()  # busy workers end here
        self._notify()  # last: who wakes up must find all of this
        if wait:
            self._thread.join()

    def _notify(self) -> None:
        with contextlib.suppress(OSError):  # the pool has just ended
            self._waker.send_bytes(b"")

    def _listen(self) -> None:
        """Gives tasks to workers and takes their results, in a thread of its own."""
        try:
            self._serve_workers()
        except BaseException as error:
            running = [worker.task for worker in self._workers if worker.task is not None]
            self._give_up(one_line(error), *running)
            raise
        finally:
            self._end_workers()

    def _serve_workers(self) -> None:
        while self._assign():
            by_handle: dict[Any, _Worker] = {}
            for worker in self._workers:
                by_handle[worker.pipe] = by_handle[worker.exit] = worker
            for handle in connection.wait([self._wake, *by_handle]):
                if handle is self._wake:
                    self._wake.recv_bytes()
                elif handle is not by_handle[handle].pipe or not self._read(by_handle[handle]):
                    self._bury(by_handle[handle])

    def _end_workers(self) -> None:
        for worker in self._workers:
            if not worker.ready:
                worker.process.terminate()
            _close(worker)
        for worker in self._workers:
            if not self._held.closed:
                worker.process.join(_FAREWELL)
            worker.process.kill()  # where a component has left a thread, or holds the interpreter's lock
            worker.process.join()
        for pipe in (self._wake, self._waker, self._lifeline, self._held):
            pipe.close()

    def _assign(self) -> bool:
        """Gives waiting tasks to idle workers, and starts workers; False when the pool is closed and idle."""
        with self._lock:
            idle = [worker for worker in self._workers if worker.ready and worker.task is None]
            while self._queue.tasks and idle:
                future, message = self._queue.tasks.popleft()
                if future.set_running_or_notify_cancel():
                    worker = idle.pop()
                    worker.task = future
                    try:
                        worker.pipe.send_bytes(message)
                    except OSError:  # it died just now: its exit is the next thing to be heard
                        break
            starting = sum(not worker.ready for worker in self._workers)
            missing = min(self._count - len(self._workers), len(self._queue.tasks) - starting)
            busy = bool(self._queue.tasks) or any(worker.task for worker in self._workers)
            closed = self._queue.closing and (not busy or self._held.closed)
        for _ in range(0 if closed else missing):
            try:
                self._start()
            except OSError as error:  # no memory, no process, no file left
                if not self._workers:
                    self._give_up(str(error))
                break
        return not closed

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._lifeline))
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours, _exit_handle(process)))

    def _read(self, worker: _Worker) -> bool:
        """Takes one message of a worker; False if its pipe is closed."""
        try:
            message = worker.pipe.recv_bytes()
        except (EOFError, OSError):
            return False
        try:
            kind, *content = pickle.loads(message)
        except Exception as error:  # noqa: BLE001  # a result whose class cannot be had here
            kind, content = "failed", [error]
        if kind == "report":
            with contextlib.suppress(Exception):  # a display that fails must not end the run
                self._report(*content)
        elif kind == "ready":
            worker.ready, self._failed_starts = True, 0
        else:
            task, worker.task = worker.task, None
            if task is not None and kind == "done":
                task.set_result(content[0])
            elif task is not None:
                task.set_exception(content[0])
        return True

    def _bury(self, worker: _Worker) -> None:
        """Removes a worker that has died, and fails its task."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        while worker.pipe.poll() and self._read(worker):  # messages from before its end
            pass
        worker.process.join(_FAREWELL)
        worker.process.kill()  # where it has closed its pipe, and lives on
        worker.process.join()
        code = worker.process.exitcode
        reason = _reason(code)
        _close(worker)
        if worker.task is not None:
            worker.task.set_exception(WorkerLostError(reason))
        elif not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                # A worker imports the script that started it, and ends with 1 where that starts workers again.
                hint = "; a script calls mpobench.run below `if __name__ == '__main__':`"
                self._give_up(reason + (hint if code == 1 else ""))

    def _give_up(self, reason: str, *running: Future[Any]) -> None:
        with self._lock:
            waiting = [future for future, _ in self._queue.tasks]
            self._queue.tasks.clear()
        for future in (*running, *waiting):
            future.set_exception(MpobenchError(f"worker processes cannot be had: {reason}"))


def _close(worker: _Worker) -> None:
    with contextlib.suppress(OSError):
        worker.pipe.send_bytes(b"")
    worker.pipe.close()
    if isinstance(worker.exit, int) and worker.exit != worker.process.sentinel:
        os.close(worker.exit)


def _exit_handle(process: Any) -> int:
    """A handle that is ready when the process has ended, even where a forked copy of it lives on."""
    try:
        return os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or an old one
        sentinel: int = process.sentinel
        return sentinel


def _reason(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "killed by SIGKILL (out of memory?)"
    if code is not None and code < 0:
        known = -code in {int(number) for number in signal.Signals}
        return f"killed by {signal.Signals(-code).name if known else f'signal {-code}'}"
    return f"exit code {code}"
