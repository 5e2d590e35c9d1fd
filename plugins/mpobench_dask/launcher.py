"""The launcher. It imports dask when a run opens it, not before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mpobench import Launcher, Workers
from mpobench.errors import needed
from mpobench.protocols import Listener
from mpobench_dask.options import DaskOptions


class Dask(DaskOptions, Launcher):
    """Workers of dask, one task at a time each: processes of this machine, of a running scheduler, or of Slurm jobs.

    What a Slurm cluster needs beyond these fields (interface, directives, a prologue) is read from dask-jobqueue's own
    configuration, ``~/.config/dask/jobqueue.yaml``. So are certificates, from dask's.
    """

    @contextmanager
    def open(self, workers: int | None, report: Listener) -> Iterator[Workers]:
        """Workers of dask; see :meth:`mpobench.Launcher.open`."""
        with needed("the launcher 'dask'", "'mpobench[cluster]'"):
            from mpobench_dask import quiet  # first of all: dask reads what it logs when it is imported

            quiet.configure()
            from mpobench_dask.deployment import deployed
            from mpobench_dask.session import session
        with deployed(self, workers) as deployment, session(deployment, report) as opened:
            yield opened
