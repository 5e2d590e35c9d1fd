"""The line that says of a table which values of its cells are tuned, and how.

Records hold what was trained, not where it comes from: tuned is a cell that was trained with all values of the entry
that tuning left for its environment, corruption and objective, or for another corruption to count everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from mpobench.leaderboard.numbers import on_one_line
from mpobench.leaderboard.standings import Section
from mpobench.registry.tuned_order import entry_for
from mpobench.results.cell_result import CellResult


class Tuning(Protocol):
    """What a tuned file says of one tuning: see :class:`mpobench.planning.tuned_file.TunedEntry`."""

    @property
    def env(self) -> str:
        """Canonical spec, like the next two."""

    @property
    def corruption(self) -> str:
        """Corruption of the dataset."""

    @property
    def objective(self) -> str:
        """Objective."""

    @property
    def scale(self) -> str:
        """Amount of work of a trial."""

    @property
    def evaluator(self) -> str:
        """Evaluator of the score."""

    @property
    def trials(self) -> int:
        """Number of configurations tried."""

    @property
    def tuning_seeds(self) -> str:
        """Seeds of their trainings."""

    @property
    def fields(self) -> Mapping[str, Any]:
        """Tuned fields of the objective."""

    @property
    def training(self) -> Mapping[str, Any]:
        """Tuned fields of the training configuration."""

    @property
    def everywhere(self) -> bool:
        """Whether they count on other corruptions too."""


def tuned_blocks(section: Section, tunings: Iterable[Tuning], code: Callable[[str], str]) -> list[str]:
    """One line with the tuned values, how they were found, and how many cells have them; none if no cell has.

    Args:
        section: Table.
        tunings: Entries of tuned files.
        code: Function that marks a name.
    """
    entries = {(each.corruption, each.objective): each for each in tunings if each.env == section.env}
    used: dict[int, Tuning] = {}
    tuned = elsewhere = others = unknown = 0
    for row in section.rows:
        name = row.objective.partition(":")[0]
        for column, cells in row.entries.items():
            entry = entry_for(entries, column, row.objective, name)
            for cell in cells.results:
                if not cell.config:  # refused beforehand
                    continue
                if entry is None or not (entry.fields or entry.training):
                    unknown += 1
                elif _has(cell, entry):
                    tuned += 1
                    elsewhere += entry.corruption != column
                    used[id(entry)] = entry
                else:
                    others += 1
    if not tuned:
        return []
    count = f"{tuned} of {tuned + others + unknown} cells were trained with them"
    count += f", {elsewhere} of these on other corruptions" if elsewhere else ""
    count += f", {others} with other values" if others else ""
    count += f"; for {unknown} nothing was tuned" if unknown else ""
    corruptions = _codes({each.corruption for each in used.values()}, code)
    where = f" on {corruptions}" if elsewhere else " and corruption"
    return [f"Tuned for each objective{where}: {_names(list(used.values()), code)}. {count}."]


def _has(cell: CellResult, entry: Tuning) -> bool:
    """Whether a cell was trained with all values of an entry."""
    objective = cell.config.get("objective")
    fields = objective.get("fields") if isinstance(objective, dict) else None
    return _within(entry.fields, fields) and _within(entry.training, cell.config.get("training"))


def _within(values: Mapping[str, Any], recorded: Any) -> bool:
    return not values or (
        isinstance(recorded, dict)
        and all(name in recorded and recorded[name] == value for name, value in values.items())
    )


def _names(used: Sequence[Tuning], code: Callable[[str], str]) -> str:
    """Names of the tuned values, and the search that found them: each, if there were several."""
    by_search: dict[tuple[str, str, int, str], list[Tuning]] = {}
    for each in used:
        by_search.setdefault((each.scale, each.evaluator, each.trials, each.tuning_seeds), []).append(each)
    parts = []
    for (scale, evaluator, trials, seeds), found in sorted(by_search.items()):
        of_objective = _codes({name for each in found for name in each.fields}, code)
        of_training = _codes({name for each in found for name in each.training}, code)
        of_objective += f" of the {'objectives' if len(found) > 1 else 'objective'}" if of_objective else ""
        of_training += " of the training" if of_training else ""
        values = " and ".join(filter(None, (of_objective, of_training)))
        parts.append(
            f"{values}, in {trials} trials at {scale} scale, scored by {code(evaluator)} on seeds "
            f"{on_one_line(seeds)}"
        )
    return "; ".join(parts)


def _codes(names: Iterable[str], code: Callable[[str], str]) -> str:
    return ", ".join(map(code, sorted(names)))
