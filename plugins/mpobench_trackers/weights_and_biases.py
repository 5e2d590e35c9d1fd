"""Weights & Biases: one run a cell, sent to its server, or kept in a folder until ``wandb sync``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mpobench import RequestError, TrackedCell, Tracker
from mpobench.errors import needed
from mpobench.files.atomic import write_atomically
from mpobench.protocols import Track

_PATIENCE = 30.0
"""Seconds in which the server has to answer when a run begins."""

_UPLOAD = 120.0
"""Seconds that the numbers of a cell may take to be sent."""


class WeightsAndBiases(Tracker):
    """Runs of a project: curves by epoch, final numbers, configuration, and what became of the cell.

    The key comes from ``wandb login`` or WANDB_API_KEY, and is written nowhere. Beside what the cells hold, nothing is
    sent: no code, no output, no command line, nothing about the machine. mode=offline keeps runs in the folder, from
    which wandb sync sends them.
    """

    project: str = Field("mpobench", pattern=r"^[^/\\#?%:]{1,128}$", description="project of the runs")
    entity: str | None = Field(None, description="team or user; none means your default")
    mode: Literal["online", "offline"] | None = Field(
        None, description="where runs go; none means what WANDB_MODE says, or online"
    )
    folder: Path | None = Field(
        None, description="folder in which wandb keeps its files, in wandb/; none means --results"
    )

    @contextmanager
    def open(self, results: Path) -> Iterator[Track]:
        """Runs of a project; see :meth:`mpobench.Tracker.open`."""
        with needed("the tracker 'wandb'", "wandb"):
            import wandb
        process = wandb.setup(wandb.Settings(silent=True))
        mode = self.mode or process.settings.mode
        if mode == "online" and not wandb.login(prompt=False, verify=False):
            raise RequestError(
                "the tracker 'wandb' has no key: run 'wandb login', or take --log wandb:mode=offline"
            )
        folder = self.folder or results
        folder.mkdir(parents=True, exist_ok=True)
        shown = folder / "wandb" / "shown" / "-".join((mode, self.entity or "", self.project))
        try:
            yield lambda cell: self._show(cell, folder, shown / cell.key)
        finally:
            wandb.teardown()

    def _show(self, cell: TrackedCell, folder: Path, shown: Path) -> None:
        """Makes a run of a cell, unless a file says that its record has one."""
        import wandb

        if shown.exists() and shown.read_text(encoding="utf-8") == cell.digest:
            return
        run = wandb.init(
            project=self.project,
            entity=self.entity,
            id=cell.key[:64],
            name=" ".join((*cell.group, f"seed {cell.seed}"))[:128],
            group=" ".join(cell.group[:3])[:128],
            tags=[cell.status],
            notes=cell.text,
            config=dict(cell.config),
            dir=folder,
            mode=self.mode,
            reinit="create_new",
            settings=_quiet(),
        )
        for epoch, values in _by_epoch(cell):
            run.log(values, step=epoch)
        run.summary.update(dict(cell.numbers))
        run.finish(exit_code=0 if cell.status == "ok" else 1)
        write_atomically(shown, cell.digest)


def _quiet() -> Any:
    """Settings of a run that tells nothing but its cell."""
    import wandb

    return wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        finish_timeout=_UPLOAD,
        finish_timeout_raises=True,
        init_timeout=_PATIENCE,
        save_code=False,
        silent=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )


def _by_epoch(cell: TrackedCell) -> Iterator[tuple[int, dict[str, float]]]:
    """The values of all curves, epoch by epoch."""
    rows: dict[int, dict[str, float]] = defaultdict(dict)
    for name, points in cell.curves.items():
        for epoch, value in points:
            rows[epoch][name] = value
    yield from sorted(rows.items())
