"""Deployments of workers: a cluster that this process starts and ends, or a scheduler that runs already."""

from __future__ import annotations

import contextlib
import multiprocessing.resource_tracker
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dask
from distributed import Nanny, Scheduler, SpecCluster

from mpobench import RequestError
from mpobench.cores import available_cores
from mpobench.errors import one_line
from mpobench_dask import gpus
from mpobench_dask.options import DaskOptions

_PATIENT = {"distributed.scheduler.worker-ttl": None, "distributed.deploy.lost-worker-timeout": "1 day"}
"""Configuration where workers that are slow to compile, or to start again, are not given up: their ends are seen."""

_CLOSING = 20.0
"""Seconds that a cluster has to end."""


@dataclass(frozen=True)
class Deployment:
    """Workers, before this process is connected to them.

    Attributes:
        target: A cluster of this process, or the address of a scheduler.
        name: Name for people.
        timeout: Seconds to wait for the scheduler.
        patience: Seconds that a run waits where no worker is left; None for as long as it takes.
        limit: Number of tasks at once, where other workers are to stay idle; None for all workers.
        shared: Whether workers may run on other machines.
    """

    target: Any
    name: str
    timeout: float
    patience: float | None
    limit: int | None = None
    shared: bool = True

    @property
    def ours(self) -> bool:
        """Whether this process has started the workers, and ends them."""
        return not isinstance(self.target, str)


@contextmanager
def deployed(options: DaskOptions, workers: int | None) -> Iterator[Deployment]:
    """The deployment that a launcher's fields name.

    Raises:
        RequestError: If it cannot be had.
    """
    if options.address is not None:
        name = f"the dask scheduler at {options.address}"
        yield Deployment(options.address, name, options.timeout, options.timeout, workers)
        return
    if options.dashboard is not None:
        _require("bokeh", "the dashboard")
    with _closing(
        _slurm(options, workers) if options.cluster == "slurm" else _local(options, workers)
    ) as deployment:
        yield deployment


def _local(options: DaskOptions, workers: int | None) -> Deployment:
    """Worker processes of this machine, started again by dask when they end."""
    environments = gpus.environments(options.gpus, workers, available_cores())
    specs = {
        number: {
            "cls": Nanny,
            "options": {
                "nthreads": 1,
                "memory_limit": 0,  # no spilling, no pauses: as it is with the local launcher
                "host": "127.0.0.1",
                "env": environment,
                "preload": ["mpobench_dask.preload"],
                "dashboard": False,
            },
        }
        for number, environment in enumerate(environments)
    }
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, **_dashboard(options)}}
    dask.config.set(_PATIENT)
    with _started("worker processes do not start"):
        cluster = SpecCluster(workers=specs, scheduler=scheduler)
    return Deployment(cluster, "this machine", options.timeout, options.timeout, shared=False)


def _slurm(options: DaskOptions, workers: int | None) -> Deployment:
    """Slurm jobs, submitted again when they end before the run does."""
    _require("dask_jobqueue", "Slurm")
    from dask_jobqueue.slurm import SLURMCluster

    if workers is None:
        raise RequestError("say how many workers Slurm should start: --workers N")
    configured = dask.config.get("jobqueue.slurm.scheduler-options", None) or {}
    cluster_options: dict[str, Any] = {
        "cores": options.cores,
        "processes": options.cores,
        "memory": options.memory,
        "queue": options.queue,
        "account": options.account,
        "walltime": options.walltime,
        "python": sys.executable,
        "scheduler_options": {**configured, **_dashboard(options)},
    }
    if options.gpus:
        cluster_options["job_extra_directives"] = [f"--gres=gpu:{options.gpus}"]
    with _started("Slurm takes no job"):
        cluster = SLURMCluster(**cluster_options)
    try:
        with _started("Slurm takes no job"):
            while len(cluster.worker_spec) * options.cores < workers:
                cluster.worker_spec.update(cluster.new_worker_spec())
            cluster.sync(
                cluster._correct_state
            )  # waits for sbatch, and raises what it says, as scale() does not
        cluster.adapt(minimum=workers, maximum=workers)
    except BaseException:
        _close(cluster)
        raise
    print(
        f"mpobench: {workers} workers wait for Slurm (squeue shows their jobs)", file=sys.stderr, flush=True
    )
    return Deployment(cluster, "Slurm", options.timeout, None)


def _dashboard(options: DaskOptions) -> dict[str, Any]:
    port = options.dashboard  # without one, what dask serves besides stays on this machine, on any free port
    return {"dashboard": port is not None, "dashboard_address": "127.0.0.1:0" if port is None else f":{port}"}


def _require(package: str, what: str) -> None:
    import importlib.util

    if importlib.util.find_spec(package) is None:
        name = package.replace("_", "-")
        extra = "bokeh" if package == "bokeh" else "'mpobench[cluster]'"
        raise RequestError(f"{what} needs the package {name}: pip install {extra}")


@contextmanager
def _started(problem: str) -> Iterator[None]:
    """Starts processes that do not hear Ctrl-C: it reaches the whole group, and this process alone decides.

    Threads and processes inherit what is blocked here, those that dask starts later on included.
    """
    # Or the thread that starts the first worker starts it, and has SIGINT unblocked by it.
    multiprocessing.resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    except Exception as error:
        raise RequestError(f"{problem}: {one_line(error)}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _closing(deployment: Deployment) -> Iterator[Deployment]:
    """Ends the cluster with the context: at once after an exception."""
    try:
        yield deployment
    except BaseException:
        _kill(deployment.target)
        raise
    finally:
        _close(deployment.target)


def _kill(cluster: Any) -> None:
    """Ends worker processes of this machine in the middle of their tasks."""

    async def kill() -> None:
        for nanny in cluster.workers.values():
            if isinstance(nanny, Nanny):
                nanny.close_gracefully(reason="mpobench-stopped")  # it does not start its worker again
                if nanny.process is not None and nanny.process.pid is not None:
                    os.kill(nanny.process.pid, signal.SIGKILL)

    with contextlib.suppress(Exception):
        cluster.sync(kill)


def _close(cluster: Any) -> None:
    with contextlib.suppress(Exception):  # the run is over, and processes end with this one
        cluster.close(timeout=_CLOSING)
