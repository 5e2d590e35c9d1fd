"""TensorBoard: one run a cell, whose event file is written at once when the cell is over.

The writer is that of tensorboardX, a small package which brax needs anyway; TensorBoard itself is only needed to look.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from mpobench import RequestError, TrackedCell, Tracker
from mpobench.errors import needed
from mpobench.files import locks
from mpobench.files.atomic import write_atomically
from mpobench.protocols import Track

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

_NOT_IN_A_NAME = re.compile(r"[^\w.+=:,-]+")
_LONGEST = 80


class TensorBoard(Tracker):
    """Event files: curves by epoch, final numbers, the configuration as hyperparameters, and what became of the cell.

    A run is named by environment, corruption, objective, evaluator, seed and key. Look at them while the benchmark goes
    on: tensorboard --logdir results/tensorboard.
    """

    folder: Path | None = Field(
        None, description="folder of the event files; none means tensorboard in --results"
    )

    @contextmanager
    def open(self, results: Path) -> Iterator[Track]:
        """Event files in a folder; see :meth:`mpobench.Tracker.open`."""
        with needed("the tracker 'tensorboard'", "'mpobench[trackers]'"):
            import tensorboardX  # noqa: F401  # used when a cell is over
        folder = self.folder or results / "tensorboard"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RequestError(
                f"cannot keep event files in {folder}: {(error.strerror or str(error)).lower()}; "
                "name another folder, --log tensorboard:DIR"
            ) from error
        yield lambda cell: _write(cell, folder)


def run_folder(cell: TrackedCell, folder: Path) -> Path:
    """Folder of a cell's event file, which is its run's name in TensorBoard."""
    parts = (*cell.group, cell.name)
    return folder.joinpath(*(_NOT_IN_A_NAME.sub("_", part)[:_LONGEST] for part in parts))


def _write(cell: TrackedCell, folder: Path) -> None:
    """Writes the event file of a cell, unless it is there, and removes that of an earlier record.

    Raises:
        RequestError: If it cannot be written.
    """
    run = run_folder(cell, folder)
    with locks.lock(folder / ".mpobench"):
        there = list(run.glob("*.tfevents.*"))
        if any(file.name.endswith(cell.digest) for file in there):
            return
        write_atomically(run / f"events.out.tfevents.{int(time.time())}.{cell.digest}", _events(cell))
        for file in there:
            file.unlink(missing_ok=True)


def _events(cell: TrackedCell) -> bytes:
    """An event file."""
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event

    with tempfile.TemporaryDirectory() as folder:
        writer = EventsWriter(f"{folder}/events")
        for step, summary in _summaries(cell):
            writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
        writer.close()
        (file,) = Path(folder).iterdir()
        return file.read_bytes()


def _summaries(cell: TrackedCell) -> Iterator[tuple[int, Summary]]:
    """The steps and contents of a cell's events."""
    from tensorboardX.summary import hparams, scalar, text

    metrics = {_tag(name): value for name, value in cell.numbers.items() if name.startswith("metrics/")}
    for summary in hparams(dict(cell.config), metrics):
        yield 0, summary
    yield 0, text("cell", cell.text)
    for name, points in cell.curves.items():
        for epoch, value in points:
            yield epoch, scalar(_tag(name), value)
    for name, value in cell.numbers.items():
        yield cell.last_epoch, scalar(_tag(name), value)


def _tag(name: str) -> str:
    """A name of those characters that TensorBoard takes."""
    return re.sub(r"[^-/\w.]+", "_", name).strip("_")
