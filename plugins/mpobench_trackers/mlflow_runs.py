"""MLflow: one run a cell, on a tracking server, or in a database file in the results folder."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field

from mpobench import RequestError, TrackedCell, Tracker
from mpobench.errors import needed
from mpobench.protocols import Track

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_KEY, _DIGEST = "mpobench.key", "mpobench.digest"
"""Tags by which a cell's run is found again."""

_NOT_IN_A_NAME = re.compile(r"[^-/\w. ]+")

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing is told to anybody but the tracking server
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds
}
"""Variables of MLflow, where they are not set."""


class Mlflow(Tracker):
    """Runs of an experiment: curves by epoch, final numbers, configuration, and what became of the cell.

    A server's user, password or token come from MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and
    MLFLOW_TRACKING_TOKEN, and are written nowhere. Beside what the cells hold, nothing is sent.
    """

    experiment: str = Field("mpobench", min_length=1, description="experiment of the runs")
    uri: str | None = Field(
        None,
        description="tracking server or database; none means what MLFLOW_TRACKING_URI says, or mlflow.db in --results",
    )

    @contextmanager
    def open(self, results: Path) -> Iterator[Track]:
        """Runs of an experiment; see :meth:`mpobench.Tracker.open`."""
        if self.uri is not None and urlsplit(self.uri).password is not None:
            raise RequestError(
                "the tracker 'mlflow' takes no password in its uri: set MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_URI"
            )
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        with needed("the tracker 'mlflow'", "mlflow"):
            from mlflow.tracking import MlflowClient
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        uri = self.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results / 'mlflow.db'}"
        with _without(uri):
            results.mkdir(parents=True, exist_ok=True)
            client = MlflowClient(tracking_uri=uri)
            found = client.get_experiment_by_name(self.experiment)
            experiment = found.experiment_id if found else client.create_experiment(self.experiment)

        def show(cell: TrackedCell) -> None:
            with _without(uri):
                _show(cell, client, experiment)

        yield show


@contextmanager
def _without(uri: str) -> Iterator[None]:
    """Errors without the address of the server, which may hold a password."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # whatever it is, it may quote the address
        raise RuntimeError(str(error).replace(uri, "the tracking server")) from None


def _show(cell: TrackedCell, client: MlflowClient, experiment: str) -> None:
    """Makes a run of a cell, unless its record has one, and deletes that of an earlier record."""
    there: list[Run] = client.search_runs([experiment], f"tags.`{_KEY}` = '{cell.key}'")
    if any(run.data.tags.get(_DIGEST) == cell.digest for run in there):
        return
    tags = {
        _KEY: cell.key,
        "status": cell.status,
        "group": " ".join(cell.group),
        "seed": str(cell.seed),
        "mlflow.note.content": cell.text,
    }
    run = client.create_run(experiment, tags=tags, run_name=" ".join((*cell.group, f"seed {cell.seed}")))
    params, metrics = _params(cell), _metrics(cell)
    while part := list(islice(params, 100)):  # at most as many in one request
        client.log_batch(run.info.run_id, params=part)
    while part := list(islice(metrics, 1000)):
        client.log_batch(run.info.run_id, metrics=part)
    client.set_tag(run.info.run_id, _DIGEST, cell.digest)  # last: a run without it is made again
    client.set_terminated(run.info.run_id, "FINISHED" if cell.status == "ok" else "FAILED")
    for earlier in there:
        client.delete_run(earlier.info.run_id)


def _params(cell: TrackedCell) -> Iterator[Any]:
    from mlflow.entities import Param

    for name, value in cell.config.items():
        yield Param(_named(name), str(value)[:6000])


def _metrics(cell: TrackedCell) -> Iterator[Any]:
    """Curves by epoch, and final numbers at the last epoch."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    for name, points in cell.curves.items():
        for epoch, value in points:
            yield Metric(_named(name), value, now, epoch)
    for name, value in cell.numbers.items():
        yield Metric(_named(name), value, now, cell.last_epoch)


def _named(name: str) -> str:
    """A name of those characters that MLflow takes."""
    return _NOT_IN_A_NAME.sub("_", name).strip("_")
