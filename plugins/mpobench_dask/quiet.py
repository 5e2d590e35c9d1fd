"""dask's configuration for a run: what it logs, and what its workers inherit.

A run tells itself what its user needs to know, in one line each; dask's own lines are errors only.
"""

from __future__ import annotations

import logging
import os

import dask

LEVELS = {
    "distributed": "error",
    "distributed.client": "critical",  # a lost connection is told by the run
    "distributed.nanny": "critical",  # so is a worker that ends, which the nanny starts again
    "distributed.scheduler": "critical",  # and the task on which it was lost
    "distributed.worker": "critical",  # the exception of a task comes back with its future
    "distributed.core": "critical",
    "distributed.comm": "critical",
    "bokeh": "error",
    "tornado": "critical",
    "tornado.application": "critical",
}

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def configure() -> None:
    """Sets dask's configuration in this process; workers that it starts inherit it.

    Two processes with one thread each do twice the work of one process with two.
    """
    inherited = {name: os.environ.get(name, "1") for name in THREADS}
    inherited["DASK_LOGGING__DISTRIBUTED"] = LEVELS["distributed"]
    dask.config.set(
        {
            "logging": LEVELS,
            "distributed.nanny.pre-spawn-environ": inherited,
            "distributed.worker.daemon": False,  # a training may start processes
        }
    )
    set_levels()


def set_levels() -> None:
    """Sets what is logged by a process that has imported dask already."""
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level.upper())
    logging.getLogger("distributed.scheduler").addFilter(_no_late_message)


def _no_late_message(record: logging.LogRecord) -> bool:
    """Whether a line of the scheduler is not about messages to a client that has closed its connection.

    A run that is interrupted closes it while its workers still tell their progress.
    """
    return not record.getMessage().startswith("Closed comm")
