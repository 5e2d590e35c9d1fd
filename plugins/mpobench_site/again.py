"""The command that makes a number again: the suite's, whose plan has the keys, or one made from the records."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mpobench.errors import MpobenchError
from mpobench.planning.command_line import run_arguments
from mpobench.planning.plan import plan
from mpobench.planning.recorded import Recorded
from mpobench.planning.suite import Suite
from mpobench.registry.registry import Registry
from mpobench.results.cell_result import CellResult


@dataclass(frozen=True)
class Again:
    """A command, and what is known of it.

    Attributes:
        command: Command line; "" if none is known.
        note: What is wrong with it; "" if nothing is known to be.
        planned: Whether the plan of the command has the keys of all records; else it was made from the records.
    """

    command: str
    note: str = ""
    planned: bool = False


@dataclass
class Commands:
    """Commands for the numbers of one leaderboard.

    Args:
        suite: Suite that made it, if there is one.
        registry: Installed components.
    """

    suite: Path | None
    registry: Registry
    _keys: frozenset[str] = field(init=False, default=frozenset())
    _several_envs: bool = field(init=False, default=False)
    _recorded: Recorded = field(init=False)

    def __post_init__(self) -> None:
        self._recorded = Recorded(self.registry)
        if self.suite is None:
            return
        try:
            request = Suite.from_toml(self.suite)
            self._keys = frozenset(cell.key for cell in plan(request, self.registry).cells)
            self._several_envs = len(request.envs) > 1
        except MpobenchError:  # an optional package is missing, say: then nothing can be proven
            self._keys = frozenset()

    def again(self, results: Sequence[CellResult]) -> Again:
        """The command for the cells of one objective on one corruption.

        Args:
            results: Records of all seeds, at least one.
        """
        keys = {result.key for result in results}
        first = results[0]
        if self.suite is not None and keys <= self._keys:
            words = ["mpobench", "run", self.suite.as_posix(), "--objectives", first.objective]
            words += ["--corruptions", first.corruption]
            words += ["--envs", first.env] if self._several_envs else []
            return Again(shlex.join(words), planned=True)
        last = max(results, key=lambda result: result.seed)
        try:
            trainings = {result.key: self._recorded.training(result) for result in results}
        except MpobenchError as error:
            return Again("", f"not known here: {error}")
        made = {cell.key for training in trainings.values() for cell in training.cells}
        words = ["mpobench", *run_arguments(last, trainings[last.key], self.registry)]
        return Again(shlex.join(words), "" if keys <= made else "its cells have other keys than these")
