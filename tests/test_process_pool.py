"""Worker processes: results come back, losses touch nobody else, and nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import alive, descendants, wait_until

from mpobench import MpobenchError, WorkerLostError
from mpobench.protocols import Progress, Report
from mpobench.running import process_pool, reports
from mpobench.running.process_pool import ProcessPool


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    opened = ProcessPool(2, lambda report: None)
    yield opened
    opened.shutdown(wait=True, cancel_futures=True)


def square(number: int) -> int:
    return number * number


def end(code: int) -> None:
    os._exit(code)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def report(count: int) -> int:
    for number in range(count):
        reports.send(Progress("task", "phase", number / count))
    return os.getpid()


class Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("needs two arguments")


def fail() -> None:
    raise Unpicklable(1, 2)


def test_results_come_back(pool: ProcessPool) -> None:
    futures = [pool.submit(square, number) for number in range(100)]
    assert [future.result() for future in futures] == [number**2 for number in range(100)]


def test_exceptions_come_back(pool: ProcessPool) -> None:
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result()
    with pytest.raises(RuntimeError, match="SystemExit"):
        pool.submit(sys.exit, 3).result()
    with pytest.raises(RuntimeError, match="the result does not pickle"):
        pool.submit(eval, "lambda: 0").result()
    with pytest.raises(TypeError):  # an exception that cannot be made again here
        pool.submit(fail).result()
    with pytest.raises(TypeError, match="does not pickle"):
        pool.submit(lambda: 0)
    assert pool.submit(square, 3).result() == 9


@pytest.mark.parametrize(
    ("task", "args", "reason"), [(end, (7,), "exit code 7"), (kill, (), r"SIGKILL \(out of memory\?\)")]
)
def test_a_lost_worker_fails_its_own_task_alone(
    pool: ProcessPool, task: object, args: tuple[int, ...], reason: str
) -> None:
    before = [pool.submit(square, number) for number in range(20)]
    lost = [pool.submit(task, *args) for _ in range(3)]
    after = [pool.submit(square, number) for number in range(20)]
    for future in lost:
        with pytest.raises(WorkerLostError, match=reason):
            future.result()
    assert [future.result() for future in (*before, *after)] == 2 * [number**2 for number in range(20)]


def test_reports_arrive_in_order_before_the_result() -> None:
    seen: list[Report] = []
    pool = ProcessPool(1, seen.append)
    pool.submit(report, 50).result()
    pool.shutdown()
    assert seen == [Progress("task", "phase", number / 50) for number in range(50)]


def test_a_report_that_fails_ends_nothing() -> None:
    pool = ProcessPool(1, lambda report: 1 // 0)
    assert pool.submit(report, 5).result()
    pool.shutdown()


def test_closing_waits_for_the_tasks_or_ends_them() -> None:
    patient = ProcessPool(2, lambda report: None)
    futures = [patient.submit(time.sleep, 0.2) for _ in range(6)]
    patient.shutdown()
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        patient.submit(square, 1)

    before = descendants(os.getpid())
    hurried = ProcessPool(2, lambda report: None)
    futures = [hurried.submit(time.sleep, 600) for _ in range(6)]
    wait_until(lambda: sum(future.running() for future in futures) == 2)
    workers = descendants(os.getpid()) - before
    hurried.shutdown(wait=True, cancel_futures=True)
    assert not any(alive(worker) for worker in workers if "spawn_main" in command(worker))
    assert sum(future.cancelled() for future in futures) == 4


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return ""


def leave_a_thread() -> int:
    threading.Thread(target=time.sleep, args=(600,)).start()
    return os.getpid()


def test_a_thread_that_a_task_leaves_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pool, "_FAREWELL", 0.5)
    pool = ProcessPool(1, lambda report: None)
    worker = pool.submit(leave_a_thread).result()
    pool.shutdown()
    assert not alive(worker)


def test_a_worker_that_holds_the_interpreter_ends_with_the_pool() -> None:
    pool = ProcessPool(1, lambda report: None)
    worker = pool.submit(os.getpid).result()
    stuck = pool.submit(re.match, r"(a+)+$", "a" * 60 + "b")
    wait_until(stuck.running)
    pool.shutdown(wait=True, cancel_futures=True)
    assert not alive(worker)


def test_a_machine_that_starts_no_process_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(pool: ProcessPool) -> None:
        raise OSError("Resource temporarily unavailable")

    monkeypatch.setattr(ProcessPool, "_start", none_left)
    pool = ProcessPool(1, lambda report: None)
    with pytest.raises(MpobenchError, match="cannot be had: Resource temporarily unavailable"):
        pool.submit(square, 1).result()
    pool.shutdown(cancel_futures=True)


def test_workers_that_do_not_start_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pool, "_serve", end_at_once)
    pool = ProcessPool(2, lambda report: None)
    with pytest.raises(MpobenchError, match="worker processes cannot be had: exit code 9"):
        pool.submit(square, 1).result()
    pool.shutdown(cancel_futures=True)


def end_at_once(*_: object) -> None:
    os._exit(9)
