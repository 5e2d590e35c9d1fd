"""A connection to dask's workers for one run: checked before the first task, closed with the run."""

from __future__ import annotations

import contextlib
import pickle
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from distributed import Client

import mpobench
from mpobench import RequestError, Workers
from mpobench.errors import MpobenchError, one_line
from mpobench.files import shared_folder
from mpobench.protocols import Listener
from mpobench_dask.deployment import Deployment
from mpobench_dask.executor import DaskExecutor
from mpobench_dask.losses import TellLosses
from mpobench_dask.task import RunTicket, check_fit

_VERSION = "__import__('mpobench').__version__"


@contextmanager
def session(deployment: Deployment, report: Listener) -> Iterator[Workers]:
    """Workers of a deployment, ready for tasks.

    Raises:
        RequestError: If the scheduler does not answer, has no workers, or one of them has another mpobench.
    """
    topic = f"mpobench-{secrets.token_hex(8)}"
    client = _connect(deployment)
    with ExitStack() as stack:
        stack.callback(_close, client)
        _wait_for_a_worker(client, deployment)
        _check_all(client, deployment)
        client.register_plugin(TellLosses(client.id))
        client.subscribe_topic(topic, lambda event: report(pickle.loads(event[1])))
        executor = DaskExecutor(client, deployment, RunTicket(topic, mpobench.__version__))

        def check_folders(folders: Sequence[Path]) -> None:
            if deployment.shared:
                probes = [stack.enter_context(shared_folder.probe(folder)) for folder in folders]
                for probe in probes:
                    for name in _on_all(client, shared_folder.answer, probe).values():
                        shared_folder.confirm(probe, name)
                executor.ticket = replace(executor.ticket, probes=tuple(probes))

        try:
            yield Workers(executor, executor.count, check_folders)
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise
        finally:
            executor.shutdown()


def _connect(deployment: Deployment) -> Client:
    try:
        return Client(deployment.target, timeout=deployment.timeout, set_as_default=False)
    except Exception as error:  # an address that is none, another service, a certificate
        raise RequestError(f"{deployment.name} does not answer: {one_line(error)}") from error


def _close(client: Client) -> None:
    with contextlib.suppress(Exception):  # the scheduler may be gone
        client.close(timeout=5)


def _wait_for_a_worker(client: Client, deployment: Deployment) -> None:
    if client.nthreads():
        return
    try:
        client.wait_for_workers(1, timeout=deployment.patience)
    except TimeoutError:
        raise RequestError(f"{deployment.name} has no workers: start some with 'dask worker'") from None


def _check_all(client: Client, deployment: Deployment) -> None:
    """Checks the scheduler and the workers that are there; those that come later check themselves.

    They are asked for their version in text, which any of them can evaluate, whether it has mpobench or not.
    """
    try:
        versions = {deployment.name: client.run_on_scheduler(eval, _VERSION)}
    except Exception as error:  # noqa: BLE001  # whatever keeps it from being imported
        versions = {deployment.name: error}
    versions |= client.run(eval, _VERSION, on_error="return")
    threads = client.nthreads()
    for address, version in versions.items():
        who = address if address == deployment.name else f"dask's worker {address}"
        if isinstance(version, BaseException):
            raise RequestError(f"{who} cannot import mpobench: {one_line(version)}; install it there")
        check_fit(who, version, threads.get(address, 1), mpobench.__version__)


def _on_all(client: Client, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """Calls a function on all workers.

    Raises:
        RequestError: With the first problem.
    """
    answers: dict[str, Any] = client.run(function, *args, on_error="return")
    for address, answer in answers.items():
        if isinstance(answer, MpobenchError):
            raise RequestError(str(answer))
        if isinstance(answer, BaseException):
            raise RequestError(f"dask's worker {address}: {one_line(answer)}")
    return answers
