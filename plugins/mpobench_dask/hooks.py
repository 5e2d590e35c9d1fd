"""The launcher that this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench import LauncherCard, hookimpl


@hookimpl
def mpobench_launchers() -> Iterable[LauncherCard]:
    """Workers of dask."""
    yield LauncherCard(
        name="dask",
        summary="Workers of dask: on this machine, of a running scheduler, or of Slurm jobs",
        target="mpobench_dask.launcher:Dask",
        positional="cluster",
    )
