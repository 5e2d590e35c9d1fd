"""The options of the launcher: its fields, free of dask."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mpobench.protocols import Component


class DaskOptions(Component):
    """Fields of the launcher ``dask``."""

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
    def _for_slurm(self) -> Self:
        """Refuses fields of a Slurm job where workers are processes of this machine."""
        values = {name: getattr(self, name) for name in ("account", "cores", "memory", "queue", "walltime")}
        given = {
            name: value for name, value in values.items() if value != type(self).model_fields[name].default
        }
        if self.cluster == "local" and self.address is None and given:
            spec = ",".join(f"{name}={value}" for name, value in given.items())
            raise ValueError(f"{', '.join(given)} belong to a Slurm job: dask:slurm,{spec}")
        return self

    @model_validator(mode="after")
    def _one_place(self) -> Self:
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
