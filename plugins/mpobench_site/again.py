"""The command that makes a number again, proven: the cells that it plans have the keys of the records."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mpobench.errors import MpobenchError
from mpobench.planning.plan import plan
from mpobench.planning.recorded import recorded_training, stated_training
from mpobench.planning.suite import Suite
from mpobench.registry.registry import Registry
from mpobench.registry.specs import canonical, format_value, parse, read_value
from mpobench.results.cell_result import CellResult


@dataclass(frozen=True)
class Again:
    """A command, and what is known of it.

    Attributes:
        command: Command line; "" if none is known.
        note: What is wrong with it; "" if its plan has the keys of all records.
    """

    command: str
    note: str = ""


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

    def __post_init__(self) -> None:
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
            return Again(shlex.join(words))
        try:
            options = self._options(max(results, key=lambda result: result.seed))
            if options is None:
                return Again("", "the installed version makes other cells of this configuration")
            planned = plan(Suite.of(options, "command"), self.registry)
        except MpobenchError as error:
            return Again("", f"not known here: {error}")
        note = "" if keys <= {cell.key for cell in planned.cells} else "its cells have other keys than these"
        return Again(_command(options), note)

    def _options(self, result: CellResult) -> dict[str, Any] | None:
        """The options of a run that makes a record, stated where they depart from the defaults."""
        training = recorded_training(result, self.registry)
        if training is None:
            return None
        defaults = self.registry.build("env", result.env).component.objective_defaults
        unstated = self.registry.build("objective", result.objective, defaults)
        made = training.request.objective.model_dump(mode="json")
        plain = unstated.component.model_dump(mode="json")
        spec = parse(result.objective)
        positional = unstated.registered.card.positional
        fields = {key or positional or "": read_value(value) for key, value in spec.args}
        fields |= {name: value for name, value in made.items() if value != plain.get(name)}
        usual = training.env.training_config(replace(training.request, overrides={}))
        stated = {name: value for name, value in stated_training(result).items() if value != usual.get(name)}
        return {
            "envs": result.env,
            "corruptions": result.corruption,
            "objectives": canonical(spec.name, fields, positional),
            "evaluators": result.evaluator,
            "scale": result.scale,
            "seeds": result.seed + 1,
            "training": stated,
        }


def _command(options: dict[str, Any]) -> str:
    words = ["mpobench", "run"]
    for name, value in options.items():
        if name != "training":
            words += [f"--{name}", str(value)]
    for name, value in options["training"].items():
        words += ["--training", f"{name}={_plain(value)}"]
    return shlex.join(words)


def _plain(value: object) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else format_value(value)
