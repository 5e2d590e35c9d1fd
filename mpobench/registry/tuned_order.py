"""The order in which entries of a tuned file count for a row, in runs and in tables."""

from __future__ import annotations

from typing import Protocol, TypeVar


class Counting(Protocol):
    """An entry of a tuned file."""

    @property
    def everywhere(self) -> bool:
        """Whether its values count on other corruptions too."""


EntryT = TypeVar("EntryT", bound=Counting)


def entry_for(
    entries: dict[tuple[str, str], EntryT], corruption: str, objective: str, name: str
) -> EntryT | None:
    """The entry that counts for a row in a column; None if there is none.

    An entry for the very spec of the row counts before one for the objective's name, and both before what was tuned on
    another corruption and counts everywhere.

    Args:
        entries: Entries of an environment, by corruption and objective.
        corruption: Corruption of the column.
        objective: Canonical spec of the row.
        name: Name of its objective.
    """
    for spec in (objective, name):
        if (corruption, spec) in entries:
            return entries[corruption, spec]
    return everywhere_of(entries, objective) or everywhere_of(entries, name)


def everywhere_of(entries: dict[tuple[str, str], EntryT], objective: str) -> EntryT | None:
    """An objective's entry that counts everywhere, the last one where several files have one; None if none does."""
    found = (each for (_, spec), each in reversed(entries.items()) if spec == objective and each.everywhere)
    return next(found, None)
