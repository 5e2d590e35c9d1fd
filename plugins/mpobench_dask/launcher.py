"""The launcher: its options, and the choice of a place. It imports dask when a run opens it, not before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import Field, model_validator

from mpobench import Launcher, RequestError, Workers
from mpobench.protocols import Report


class Dask(Launcher):
    """Workers of dask, one task at a time each: processes of this machine, of a running scheduler, or of Slurm jobs.

    What a Slurm cluster needs beyond these fields (interface, directives, a prologue) is read from dask-jobqueue's own
    configuration, ``~/.config/dask/jobqueue.yaml``. So are certificates, from dask's.
    """

    cluster: Literal["local", "slurm"] = Field("local", description="where workers are started")
    address: str | None = Field(
        None,
        pattern=r"^(tcp|tls|ws|wss|ucx)://[^\s/]+:[0-9]+$",
        description="a scheduler that runs already, tcp://HOST:PORT, in place of a cluster",
    )
    timeout: float = Field(
        30.0, gt=0, le=3600, description="seconds to wait for a scheduler, and for workers where none is left"
    )
    gpus: int | None = Field(
        None,
        ge=0,
        le=1024,
        description="GPUs of this machine, one worker each (default: all), or of a Slurm job (0 or 1)",
    )
    dashboard: int | None = Field(
        None, ge=0, le=65535, description="port of dask's dashboard on this machine (needs bokeh)"
    )
    queue: str | None = Field(None, description="Slurm: partition")
    account: str | None = Field(None, description="Slurm: account")
    walltime: str | None = Field(None, description="Slurm: time limit of a job, 04:00:00")
    cores: int = Field(1, ge=1, le=1024, description="Slurm: cores of a job, one worker each")
    memory: str = Field("8GB", description="Slurm: memory of a job")

    @model_validator(mode="after")
    def _one_place(self) -> Dask:
        """Refuses fields that contradict each other."""
        if self.address is not None:
            started = self.model_fields_set - {"address", "timeout"}
            if started:
                raise ValueError(
                    f"{', '.join(sorted(started))} belong to workers that are started here, not to an address"
                )
        if self.cluster == "slurm" and self.gpus and (self.gpus > 1 or self.cores > 1):
            raise ValueError(
                "a Slurm job has one GPU and one core, so that its worker has both: gpus=1,cores=1"
            )
        return self

    @contextmanager
    def open(self, workers: int | None, report: Report) -> Iterator[Workers]:
        """Workers of dask; see :meth:`mpobench.Launcher.open`."""
        try:
            from mpobench_dask import quiet  # first of all: dask reads what it logs when it is imported

            quiet.configure()
            from mpobench_dask import places
            from mpobench_dask.session import session
        except ImportError as error:
            raise RequestError(
                f"the launcher 'dask' needs the package {error.name}: pip install 'mpobench[cluster]'"
            ) from error
        with places.of(self, workers) as place, session(place, report) as opened:
            yield opened
