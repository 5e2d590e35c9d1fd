"""A package that is exported, and the direction of its loss."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpobench import Objective, RequestError
from mpobench.errors import PluginError, one_line
from mpobench.protocols.pair_loss import pair_losses
from mpobench.registry.build import Configured
from mpobench.registry.objective_files import ObjectiveFile
from mpobench.registry.paper_span import PAPER_SPAN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPAN, POINTS = PAPER_SPAN, 25
"""Range and number of the log-probabilities per step at which a package tests its losses."""


@dataclass(frozen=True)
class Package:
    """A package to write, with its names.

    Attributes:
        name: Name of the distribution.
        folder: Folder of the project.
        file: Objective file.
        built: Objective.
    """

    name: str
    folder: Path
    file: ObjectiveFile
    built: Configured[Objective]

    @property
    def module(self) -> str:
        """Name of the Python module."""
        return re.sub(r"[-.]+", "_", self.name).lower()

    @property
    def objective(self) -> str:
        """Name of the objective in specs."""
        return self.file.card.name


def prefers_chosen(package: Package) -> bool:
    """Whether the loss never rises with log π(τ_w), and never falls with log π(τ_l), as tests of packages see it.

    Raises:
        RequestError: If a loss is not finite.
        PluginError: If it cannot be computed.
    """
    import numpy as np

    logps = np.linspace(*SPAN, POINTS)
    losses = [_losses(package, logps, progress) for progress in (0.0, 0.5, 1.0)]
    if not np.isfinite(losses).all():
        raise RequestError(
            f"{package.file}: its losses are not all finite where log π(τ) lies between {SPAN[0]:g} and {SPAN[1]:g}"
        )
    rounding = [1e-9 * np.abs(loss).max() for loss in losses]
    return all(
        (np.diff(loss, axis=0) <= slack).all() and (np.diff(loss, axis=1) >= -slack).all()
        for loss, slack in zip(losses, rounding, strict=True)
    )


def _losses(package: Package, logps: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """``(points, points)``: the loss by log π(τ_w) and log π(τ_l)."""
    import numpy as np

    chosen, rejected = (side.ravel() for side in np.meshgrid(logps, logps, indexing="ij"))
    reference = (float(logps.mean()), float(logps.mean()))
    try:
        with np.errstate(all="ignore"):  # what is not finite will be noticed
            losses = pair_losses(package.built.component, chosen, rejected, reference, progress)
            return np.asarray(losses).reshape(len(logps), -1)
    except Exception as error:
        line = f"{package.file}: a {package.file.card.objective!r} cannot compute its losses: "
        raise PluginError(line + one_line(error)) from error
