"""Results in Python: a sequence of cells that becomes a data frame, or a table in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from mpobench.errors import RequestError
from mpobench.leaderboard.page import Leaderboard
from mpobench.results import frame
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultFileError, read_results

if TYPE_CHECKING:
    import pandas as pd


class Results(Sequence[CellResult]):
    """Cells of a results folder or file, by key.

    Args:
        cells: The cells.
        damaged: Files or lines that are truncated or not ours.

    Example:
        >>> results = mpobench.load("leaderboards/tla.jsonl")
        >>> results.to_frame().groupby(["objective", "corruption"], observed=True)["score"].mean()
    """

    def __init__(self, cells: Iterable[CellResult], damaged: Iterable[ResultFileError] = ()) -> None:
        self.cells, self.damaged = tuple(cells), tuple(damaged)

    @overload
    def __getitem__(self, index: int) -> CellResult: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...

    def __getitem__(self, index: int | slice) -> CellResult | Results:
        if isinstance(index, slice):
            return Results(self.cells[index])
        return self.cells[index]

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        return f"<{len(self.cells)} cells of mpobench>"

    def where(self, **values: Any) -> Results:
        """The cells with given values: ``results.where(objective="dpo", seed=0)``."""
        return Results(
            cell for cell in self.cells if all(getattr(cell, name) == value for name, value in values.items())
        )

    @property
    def leaderboard(self) -> Leaderboard:
        """The leaderboard of these cells.

        Raises:
            RequestError: If they contradict each other.
        """
        return Leaderboard.of(self.cells)

    def to_frame(self) -> pd.DataFrame:
        """One row a cell, with typed columns; see :func:`mpobench.results.frame.cell_rows`.

        Raises:
            RequestError: If pandas is not installed.
        """
        return frame.frame(frame.cell_rows(self.cells), (*frame.IDENTITY, *frame.OUTCOME))

    def curves_to_frame(self) -> pd.DataFrame:
        """One row an epoch of each cell's training.

        Raises:
            RequestError: If pandas is not installed.
        """
        return frame.frame(frame.curve_rows(self.cells), (*frame.IDENTITY, "epoch"))

    def _repr_html_(self) -> str:
        """The main tables, for Jupyter."""
        try:
            return self.leaderboard.html()
        except RequestError as error:
            return f"<p>{escape(repr(self))}: {escape(str(error))}</p>"


def load(path: str | Path) -> Results:
    """Reads results.

    Args:
        path: A results folder of ``mpobench run``, or a published ``.jsonl`` file.

    Raises:
        RequestError: If there are none. Damaged files or lines are in ``damaged``.

    Example:
        >>> mpobench.load("results").to_frame()
    """
    damaged: list[ResultFileError] = []
    return Results(read_results(Path(path), on_bad=damaged.append), damaged)
