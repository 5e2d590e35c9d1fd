"""The scheduler: order, failures, losses, and a window that stays small."""

from __future__ import annotations

import pickle
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpobench import MpobenchError, WorkerLostError, Workers
from mpobench.running.scheduler import ATTEMPTS, WINDOW, Scheduler, Task
from mpobench.running.worker import Failure


class Instant(Executor):
    """Carries tasks out at once, in this thread or in one of its own, and loses the workers of some."""

    def __init__(self, losses: dict[str, int] | None = None) -> None:
        self.losses, self.order = Counter(losses or {}), []
        self.open = self.most_open = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        key = args[0]
        future: Future[Any] = Future()
        self.open += 1
        self.most_open = max(self.open, self.most_open)

        def work() -> None:
            self.open -= 1
            if self.losses[key] > 0:
                self.losses[key] -= 1
                future.set_exception(WorkerLostError("exit code 7"))
                return
            self.order.append(key)
            future.set_result(fn(*args))

        threading.Timer(0, work).start()
        return future


def value(key: str, failing: bool) -> str:
    if failing:
        raise ValueError(f"{key} fails")
    return key


def run(tasks: list[Task], executor: Instant, workers: int = 3) -> tuple[dict[str, Any], list[str]]:
    ends: dict[str, Any] = {}
    notes: list[str] = []

    def finished(key: str, result: Any) -> None:
        assert key not in ends, "a task ended twice"
        ends[key] = result

    Scheduler(Workers(executor, lambda: workers), finished, notes.append).run(tasks)
    return ends, notes


def task(key: str, needs: tuple[str, ...] = (), after: tuple[str, ...] = (), failing: bool = False) -> Task:
    return Task(key, lambda: (value, (key, failing)), needs, after)


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)), st.booleans(), st.integers(0, 4)),
        max_size=12,
    ),
    st.randoms(),
)
def test_any_plan_ends_with_every_task_once_and_in_order(
    plan: list[tuple[set[int], set[int], bool, int]], chance: Any
) -> None:
    names = [f"task {number}" for number in range(len(plan))]
    tasks, losses = [], {}
    for number, (needs, after, failing, lost) in enumerate(plan):
        hard = tuple(names[other] for other in needs if other < number)
        soft = tuple(names[other] for other in after if other < number)
        tasks.append(task(names[number], hard, soft, failing))
        losses[names[number]] = lost
    chance.shuffle(tasks)
    executor = Instant(losses)
    ends, _ = run(tasks, executor)
    assert ends.keys() == set(names)
    at = {key: number for number, key in enumerate(executor.order)}
    for each in tasks:
        failed_needs = [need for need in each.needs if isinstance(ends[need], Failure)]
        if failed_needs:
            assert each.key not in at, "it ran although a need had failed"
            assert ends[each.key].reason in {ends[need].reason for need in failed_needs}
        elif losses[each.key] >= ATTEMPTS:
            assert ends[each.key].reason == f"a worker was lost on it {ATTEMPTS} times: exit code 7"
        else:
            assert all(at[other] < at[each.key] for other in (*each.needs, *each.after) if other in at)
            assert ends[each.key] == each.key or "fails" in ends[each.key].reason


def test_the_window_is_bounded() -> None:
    executor = Instant()
    ends, _ = run([task(str(number)) for number in range(300)], executor, workers=4)
    assert len(ends) == 300
    assert executor.most_open <= WINDOW * 4


def test_a_lost_worker_is_told_in_one_line_and_its_task_runs_again() -> None:
    ends, notes = run([task("a"), task("b")], Instant({"a": 1}))
    assert ends == {"a": "a", "b": "b"}
    assert notes == ["mpobench: warning: a worker was lost (exit code 7): its task runs again"]


def test_tasks_of_one_locality_follow_each_other() -> None:
    tasks = [Task(f"{number}", lambda: (value, ("", False)), locality=str(number % 3)) for number in range(9)]
    executor = Instant()
    run(tasks, executor, workers=0)  # one at a time but for the window
    places = [int(key) % 3 for key in executor.order]
    assert sorted(places) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert abs(places.index(2) - 6) <= WINDOW


def test_a_task_with_nothing_left_to_do_is_over_at_once() -> None:
    executor = Instant()
    ends, _ = run([Task("empty", lambda: None), task("next", needs=("empty",))], executor)
    assert ends == {"empty": None, "next": "next"}
    assert executor.order == ["next"]


def test_a_task_that_does_not_pickle_fails_alone() -> None:
    tasks = [Task("local", lambda: (lambda: 0, ())), task("other"), task("waits", needs=("local",))]
    ends, _ = run(tasks, Instant())
    assert ends["other"] == "other"
    assert ends["local"] == ends["waits"]
    assert isinstance(ends["local"], Failure)


def test_tasks_that_wait_for_each_other_are_an_error() -> None:
    with pytest.raises(MpobenchError, match="wait for each other: a, b"):
        run([task("a", needs=("b",)), task("b", needs=("a",)), task("c")], Instant())


def test_a_lost_place_ends_the_run() -> None:
    class Lost(Instant):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(MpobenchError("the cluster has gone"))
            return future

    with pytest.raises(MpobenchError, match="the cluster has gone"):
        run([task("a")], Lost())


def test_an_exception_of_the_one_who_is_told_ends_the_run() -> None:
    def broken(key: str, result: Any) -> None:
        raise BrokenPipeError("nobody listens")

    with pytest.raises(BrokenPipeError, match="nobody listens"):
        Scheduler(Workers(Instant(), lambda: 1), broken, print).run([task("a"), task("b", needs=("a",))])


def test_failures_pickle() -> None:
    failure = Failure("error", "why", "Traceback")
    assert pickle.loads(pickle.dumps(failure)) == failure
