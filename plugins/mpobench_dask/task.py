"""The functions that dask's workers carry out."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from distributed import get_worker

import mpobench
from mpobench import RequestError
from mpobench.files import shared_folder
from mpobench.files.shared_folder import Probe
from mpobench.running import reports

_joined: set[str] = set()
"""Topics of the runs for which this worker has been checked."""


@dataclass(frozen=True)
class RunTicket:
    """A run, as far as its workers need to know it.

    Attributes:
        topic: Topic of its progress reports, unique.
        version: Version of mpobench.
        probes: Folders that tasks write into, where workers may be on other machines.
    """

    topic: str
    version: str
    probes: tuple[Probe, ...] = ()


def check_fit(who: str, version: str, threads: int, expected: str) -> None:
    """Refuses what would compute otherwise than the run expects.

    Args:
        who: Worker or scheduler, for the error.
        version: Version of its mpobench.
        threads: Number of its threads for tasks.
        expected: The run's version.

    Raises:
        RequestError: If its version is another one, or it runs several tasks at once.
    """
    if version != expected:
        raise RequestError(f"{who} has mpobench {version}, this is {expected}: install the same one there")
    if threads != 1:
        raise RequestError(
            f"{who} has {threads} threads: start it with --nthreads 1 (and --nworkers for more)"
        )


def carry_out(ticket: RunTicket, function: Callable[..., Any], args: Sequence[Any]) -> Any:
    """Calls a function in a worker, whose reports go to the run.

    Raises:
        RequestError: If the worker has come late, and has another version or does not share the folders.
    """
    worker = get_worker()
    if ticket.topic not in _joined:
        who = f"dask's worker {worker.address}"
        check_fit(who, mpobench.__version__, worker.state.nthreads, ticket.version)
        for probe in ticket.probes:
            shared_folder.answer(probe)
        _joined.add(ticket.topic)
    reports.connect(lambda report: worker.log_event(ticket.topic, pickle.dumps(report)))
    return function(*args)
