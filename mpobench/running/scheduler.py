"""A scheduler of tasks that wait for each other, on the workers of any launcher: linear in the number of tasks.

At most a few tasks a worker are submitted at any time, so that neither this process nor a cluster's scheduler holds
more than a window of a long plan.
"""

from __future__ import annotations

import heapq
import pickle
import queue
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, TypeAlias

from mpobench.errors import MpobenchError
from mpobench.protocols import WorkerLostError, Workers
from mpobench.running.worker import Failure, perform

Call: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of a worker and its arguments; both pickle."""

ATTEMPTS = 3
"""A task that has lost so many workers is given up: it is the likely cause."""

WINDOW = 2
"""Tasks that are submitted for each worker, so that none waits for the next one."""


LATE = 0.9
"""Share of the time limit after which a loss is put down to it: reports of a beginning come a little late."""


@dataclass(frozen=True)
class Task:
    """A unit of work for one worker.

    Attributes:
        key: Unique name.
        call: Function that returns the call when the task is submitted, or None if nothing is left to do.
        needs: Keys of tasks that have to succeed before; where one fails, this task fails with it.
        after: Keys of tasks that have to be over before, however they end.
        locality: Tasks of one locality follow each other, in the order of their first appearance.
    """

    key: str
    call: Callable[[], Call | None]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    locality: str = ""


class Scheduler:
    """Submits each task as soon as what it waits for is over.

    Args:
        workers: Workers of an open launcher.
        finished: Function of (key, result) that is called here when a task is over. The result is a
            :class:`~mpobench.running.worker.Failure` if the task failed, or one that it needs.
        note: Function of a line for the user, such as the loss of a worker.
        time_limit: Seconds that a task may take; then its worker is ended.
    """

    def __init__(
        self,
        workers: Workers,
        finished: Callable[[str, Any], None],
        note: Callable[[str], None],
        time_limit: float | None = None,
    ) -> None:
        self._workers, self._finished, self._note, self._time_limit = workers, finished, note, time_limit
        self._tasks: dict[str, Task] = {}
        self._open_needs: dict[str, int] = {}
        self._waiting: defaultdict[str, list[tuple[str, bool]]] = defaultdict(list)
        self._ready: list[tuple[int, int, str]] = []
        self._localities: dict[str, int] = {}
        self._order: dict[str, int] = {}
        self._done: queue.SimpleQueue[tuple[str, Future[Any]]] = queue.SimpleQueue()
        self._begun: dict[str, float] = {}
        self._losses: dict[str, int] = {}
        self._running = 0

    def begun(self, key: str) -> None:
        """Notes that a worker has begun a task; called in any thread."""
        self._begun[key] = time.monotonic()

    def run(self, tasks: Iterable[Task]) -> None:
        """Carries out tasks; returns when the last one is over.

        Raises:
            MpobenchError: If tasks wait for each other, or the workers' place is lost.
        """
        for task in tasks:
            self._tasks[task.key] = task
        for number, task in enumerate(self._tasks.values()):
            self._order[task.key] = number
            self._localities.setdefault(task.locality, len(self._localities))
            waits = [(key, True) for key in task.needs] + [(key, False) for key in task.after]
            waits = [(key, hard) for key, hard in dict(reversed(waits)).items() if key in self._tasks]
            self._open_needs[task.key] = len(waits)
            for key, hard in waits:
                self._waiting[key].append((task.key, hard))
            if not waits:
                self._push(task.key)
        while self._tasks:
            self._submit_ready()
            if not self._running:
                if self._tasks and not self._ready:
                    raise MpobenchError(
                        f"prerequisites wait for each other: {', '.join(sorted(self._tasks)[:9])}"
                    )
                continue
            self._take(*self._done.get())

    def _push(self, key: str) -> None:
        heapq.heappush(self._ready, (self._localities[self._tasks[key].locality], self._order[key], key))

    def _submit_ready(self) -> None:
        window = WINDOW * max(self._workers.count(), 1)
        while self._ready and self._running < window:
            key = heapq.heappop(self._ready)[2]
            if key in self._tasks:  # it may have failed with a need
                self._submit(key)

    def _submit(self, key: str) -> None:
        try:
            call = self._tasks[key].call()
            message = None if call is None else pickle.dumps(call, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # noqa: BLE001  # a component's own pickling
            self._over(key, Failure.of(error))
            return
        if message is None:
            self._over(key, None)
            return
        self._begun.pop(key, None)
        self._running += 1
        future = self._workers.executor.submit(perform, key, message, self._time_limit)
        future.add_done_callback(lambda done: self._done.put((key, done)))

    def _take(self, key: str, future: Future[Any]) -> None:
        self._running -= 1
        try:
            result = future.result()
        except MpobenchError:
            raise
        except WorkerLostError as error:
            self._lost(key, str(error))
            return
        except CancelledError:
            result = Failure("error", "it was cancelled where it ran")
        except Exception as error:  # noqa: BLE001  # the way to the worker and back: a result that does not pickle
            result = Failure.of(error)
        self._over(key, result)

    def _lost(self, key: str, reason: str) -> None:
        """Submits a task again whose worker was lost, unless it is the likely cause."""
        begun = self._begun.get(key)
        took = 0.0 if begun is None else time.monotonic() - begun
        if self._time_limit is not None and took >= self._time_limit * LATE:
            reason = f"it took longer than --cell-timeout {self._time_limit:g}: its worker was ended"
            self._over(key, Failure("error", reason))
            return
        self._losses[key] = self._losses.get(key, 0) + 1
        if self._losses[key] == ATTEMPTS:
            self._over(key, Failure("error", f"a worker was lost on it {ATTEMPTS} times: {reason}"))
            return
        self._note(f"mpobench: warning: a worker was lost ({reason}): its task runs again")
        self._push(key)

    def _over(self, key: str, result: Any) -> None:
        """Tells the end of a task, and of all that fail with it; those that waited may be ready now."""
        ended = [(key, result)]
        while ended:
            key, result = ended.pop()
            if self._tasks.pop(key, None) is None:  # two of its needs have failed
                continue
            self._finished(key, result)
            for waiting, hard in self._waiting.pop(key, ()):
                if waiting not in self._tasks:
                    continue
                if hard and isinstance(result, Failure):
                    ended.append((waiting, result))
                    continue
                self._open_needs[waiting] -= 1
                if not self._open_needs[waiting]:
                    self._push(waiting)
