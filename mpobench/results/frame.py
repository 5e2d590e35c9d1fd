"""Results as a table with one row a cell, or one row an epoch: for pandas, CSV and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mpobench.errors import RequestError
from mpobench.files.atomic import file_atomically, write_atomically
from mpobench.results.cell_result import CellResult
from mpobench.results.differences import as_text
from mpobench.values import leaves

if TYPE_CHECKING:
    import pandas as pd

Row: TypeAlias = dict[str, Any]

IDENTITY = (
    "key",
    "training_key",
    "env",
    "corruption",
    "objective",
    "evaluator",
    "seed",
    "scale",
    "origin",
    "plugin",
)
"""Columns of every table: what a cell is."""

OUTCOME = ("status", "reason", "primary", "score", "unit", "higher_is_better")
"""Columns of a table of cells: how it ended; ``score`` is the primary metric's value, empty unless the status is ok."""

_CATEGORIES = frozenset(
    {"env", "corruption", "objective", "evaluator", "scale", "origin", "plugin", "status", "primary"}
)

_NEEDS_PANDAS = "this needs pandas and pyarrow: pip install 'mpobench[data]'"


def cell_rows(results: Iterable[CellResult]) -> list[Row]:
    """A row for each cell: identity and outcome, metrics, seconds, data, configuration and versions.

    The latter have names such as ``metric.return`` and ``config.training.epochs``. All rows have the same columns; what
    a cell does not have is None. Values of the configuration that are lists are JSON text.
    """
    rows = []
    for result in results:
        row: Row = {name: getattr(result, name) for name in IDENTITY}
        row |= {name: getattr(result, name) for name in OUTCOME if name != "score"}
        row["score"] = result.metrics.get(result.primary) if result.status == "ok" else None
        for prefix, values in (
            ("metric", result.metrics),
            ("seconds", result.seconds),
            ("data", result.dataset),
            ("config", _configuration(result)),
            ("version", result.versions),
        ):
            row |= {f"{prefix}.{name}": value for name, value in values.items()}
        rows.append(row)
    return _aligned(rows, (*IDENTITY, *OUTCOME))


def curve_rows(results: Iterable[CellResult]) -> list[Row]:
    """A row for each epoch of each training: identity, ``epoch`` from 1, and a column for each quantity."""
    rows = []
    for result in results:
        epochs = max(map(len, result.curves.values()), default=0)
        for at in range(epochs):
            row: Row = {name: getattr(result, name) for name in IDENTITY} | {"epoch": at + 1}
            row |= {name: curve[at] for name, curve in result.curves.items() if at < len(curve)}
            rows.append(row)
    return _aligned(rows, (*IDENTITY, "epoch"))


def _configuration(result: CellResult) -> Row:
    """The configuration by dotted name; lists are JSON text."""
    return {
        name: as_text(value) if isinstance(value, list | tuple) else value
        for name, value in leaves(result.config)
        if value != {}
    }


def _aligned(rows: Sequence[Row], first: Sequence[str]) -> list[Row]:
    """Rows with the same columns in the same order: the first ones, then the others, those of one prefix together."""
    others = {name: None for row in rows for name in row if name not in first}
    prefixes = list(dict.fromkeys(name.partition(".")[0] for name in others))
    names = [*first, *sorted(others, key=lambda name: prefixes.index(name.partition(".")[0]))]
    return [{name: row.get(name) for name in names} for row in rows]


def frame(rows: Sequence[Row], first: Sequence[str]) -> pd.DataFrame:
    """Rows as a typed pandas frame: categories, ``Int64``, ``Float64``, ``boolean`` and ``string``, with NA for gaps.

    Args:
        rows: Rows of the same columns.
        first: Columns of an empty frame.

    Raises:
        RequestError: If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise RequestError(_NEEDS_PANDAS) from error
    names = list(rows[0]) if rows else list(first)
    columns = {name: [row[name] for row in rows] for name in names}
    return pd.DataFrame({name: pd.array(*_typed(name, values)) for name, values in columns.items()})


def _typed(name: str, values: list[Any]) -> tuple[list[Any], str]:
    """The values of a column, all of one type, and its name in pandas."""
    there = [value for value in values if value is not None]
    if name in _CATEGORIES:
        return values, "category"
    if there and all(isinstance(value, bool) for value in there):
        return values, "boolean"
    numbers = there and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)
    if numbers and all(isinstance(value, int) for value in there):
        return values, "Int64"
    if numbers or name.startswith(("metric.", "seconds.", "data.")) or name == "score":
        return [None if value is None else float(value) for value in values], "Float64"
    return [
        value if value is None or isinstance(value, str) else as_text(value) for value in values
    ], "string"


def write_table(rows: Sequence[Row], first: Sequence[str], path: Path) -> None:
    """Writes rows as CSV or Parquet, as the file's name says.

    Args:
        rows: Rows of the same columns.
        first: Columns of an empty table.
        path: File that ends in ``.csv`` or ``.parquet``.

    Raises:
        RequestError: If it ends in something else, cannot be written, or pandas or pyarrow is missing for Parquet.
    """
    if path.suffix == ".csv":
        write_atomically(path, _csv(rows, first))
        return
    if path.suffix != ".parquet":
        raise RequestError(f"cannot write {path}: name a file that ends in .csv or .parquet")
    table = frame(rows, first)
    try:
        with file_atomically(path) as temporary:
            table.to_parquet(temporary, index=False)
    except ImportError as error:
        raise RequestError(_NEEDS_PANDAS) from error


def _csv(rows: Sequence[Row], first: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0] if rows else first)
    for row in rows:
        writer.writerow("" if value is None else _plain(value) for value in row.values())
    return text.getvalue()


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else as_text(value)
