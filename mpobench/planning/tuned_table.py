"""The tuned values of a plan: which entry of a tuned file counts for an objective on a dataset, and what is missing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from mpobench.errors import RequestError
from mpobench.planning.env_plan import EnvPlan, PlannedDataset, PlannedObjective
from mpobench.planning.tuned_file import TunedEntry, TunedFile, TunedValues
from mpobench.registry.registry import Registry
from mpobench.registry.tuned_order import entry_for, everywhere_of
from mpobench.results.differences import as_text, differences


class TunedTable:
    """The entries of a tuned file, by canonical specs.

    ``tampo:schedule=sigmoid`` takes its own entry, or else that of ``tampo``, or else what was tuned on another
    corruption and counts everywhere. What the spec states wins over them all.

    Args:
        path: Tuned file.
        registry: Installed components.

    Raises:
        RequestError: If the file cannot be read, or an entry names something unknown.
    """

    def __init__(self, path: Path, registry: Registry) -> None:
        self._path = path
        self._entries: defaultdict[str, dict[tuple[str, str], TunedEntry]] = defaultdict(dict)
        self._untuned: dict[str, list[str]] = {}
        self._stale: dict[str, list[str]] = {}
        self._other_training: dict[str, dict[str, list[str]]] = {}
        for entry in TunedFile.read(path).tuned:
            try:
                env = registry.build("env", entry.env)
                corruption = registry.build("corruption", entry.corruption)
                objective = registry.build("objective", entry.objective, env.component.objective_defaults)
            except RequestError as error:
                raise self._blamed(entry, error) from error
            entries, place = self._entries[env.text], (corruption.text, objective.text)
            if place in entries:
                raise RequestError(f"{path}, {entry}: it is there twice, once as {entries[place]}")
            if entry.everywhere and (other := everywhere_of(entries, objective.text)):
                raise RequestError(
                    f"{path}: {other} and {entry} both count everywhere: remove everywhere from one of them"
                )
            entries[place] = entry

    def check(self, env: EnvPlan) -> None:
        """Checks the values of an environment's entries, whether they are planned or not.

        Raises:
            RequestError: For a field that is unknown, or a value that is not allowed.
        """
        for entry in self._entries[env.env.text].values():
            try:
                planned = env.objective(entry.objective, entry.values)
                tuned_only = replace(planned, overrides=entry.training)
                env.training_config(env.dataset(entry.corruption), tuned_only)
            except RequestError as error:
                raise self._blamed(entry, error) from error

    def objective(self, env: EnvPlan, dataset: PlannedDataset, text: str) -> PlannedObjective:
        """An objective with the tuned values that count for it here; with the defaults where there are none."""
        return env.objective(text, self.values(env, dataset, text))

    def values(self, env: EnvPlan, dataset: PlannedDataset, text: str) -> TunedValues | None:
        """The tuned values that count for an objective here; None where there are none."""
        plain = env.objective(text)
        entry = entry_for(self._entries[env.env.text], dataset.corruption.text, plain.text, plain.name)
        row = f"{plain.text} on {env.env.text}"
        if entry is None:
            self._untuned.setdefault(row, []).append(dataset.corruption.text)
            return None
        if entry.dataset != env.data_key(entry.scale):
            self._stale.setdefault(row, []).append(dataset.corruption.text)
        if not dataset.skip and (other := _other_training(env, dataset, text, entry)):
            self._other_training.setdefault(other, {}).setdefault(row, []).append(dataset.corruption.text)
        return entry.values

    def notes(self) -> list[str]:
        """Lines for the rows that have no tuned values, and for those that were tuned on other data or otherwise."""
        notes = []
        if self._untuned:
            notes.append(
                f"{self._path} has nothing for {_listed(self._untuned)}: untuned defaults count there"
            )
        if self._stale:
            notes.append(
                f"the values in {self._path} were tuned on other agents or data than there are now, for "
                f"{_listed(self._stale)}: tune again"
            )
        notes += [
            f"the values in {self._path} were tuned in another training ({other}), for {_listed(rows)}"
            for other, rows in self._other_training.items()
        ]
        return notes

    def _blamed(self, entry: TunedEntry, error: RequestError) -> RequestError:
        return RequestError(f"{self._path}, {entry}: {error}")


def _other_training(env: EnvPlan, dataset: PlannedDataset, text: str, entry: TunedEntry) -> str:
    """What an objective's training has that its tuning had not: ``epochs=3 here, 2 there``; empty if nothing.

    Tuned fields that the user states otherwise are left out: that was meant.
    """
    here = env.objective(text, entry.values)
    there = replace(here, overrides={**entry.training, **entry.fixed})
    try:
        ours, theirs = (env.training_config(dataset, planned) for planned in (here, there))
    except RequestError:  # as it was tuned, it cannot be trained at this scale
        return ", ".join(f"{name}={as_text(value)} there" for name, value in sorted(entry.fixed.items()))
    return ", ".join(
        f"{name}={as_text(own)} here, {as_text(other)} there"
        for name, own, other in differences(ours, theirs)
        if name not in entry.training
    )


def _listed(rows: dict[str, list[str]]) -> str:
    """``dpo on tla (base, mixed); ipo on tla (base)``."""
    return "; ".join(f"{row} ({', '.join(corruptions)})" for row, corruptions in rows.items())
