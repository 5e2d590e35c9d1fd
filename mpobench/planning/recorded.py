"""From the record of a cell back to its training: what a results file says is planned again, to be computed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpobench.errors import RequestError, SpecError, one_line
from mpobench.planning.cell_keys import (
    cell_key,
    corruption_key,
    dataset_key,
    env_key,
    evaluator_key,
    recipe_key,
    training_key,
)
from mpobench.planning.cells import Training
from mpobench.planning.env_plan import EnvPlan, PlannedDataset, PlannedObjective
from mpobench.planning.tuned_file import TunedValues
from mpobench.protocols import JsonObject
from mpobench.registry.registry import Registry
from mpobench.registry.specs import format_value, parse, split_sum
from mpobench.results.cell_result import CellResult
from mpobench.results.differences import ABSENT, as_text, differences

_PARTS = frozenset({"env", "corruption", "dataset", "objective", "training", "evaluator", "evaluation"})

_DIGITS = 60
"""Characters of a value in an error's line."""


def key_problem(result: CellResult) -> str | None:
    """The reason why a record's keys and names do not follow from its configuration; None if they do.

    No component is needed: keys are hashes of the configuration. A skipped cell has none, and nothing to check.
    """
    if result.status == "skipped":
        return None
    config = result.config
    if missing := sorted(_PARTS - config.keys()):
        return f"its configuration has no {missing[0]!r}"
    dataset = dataset_key(
        corruption_key(env_key(config["env"], config["dataset"]), config["corruption"]), result.seed
    )
    training = training_key(dataset, recipe_key(config["objective"], config["training"]), result.seed)
    evaluator = evaluator_key(config["evaluator"], config["evaluation"])
    expected = dataset, training, cell_key(training, evaluator)
    for name, made in zip(("dataset_key", "training_key", "key"), expected, strict=True):
        if getattr(result, name) != made:
            return f"its {name} {getattr(result, name)} does not follow from its configuration, which gives {made}"
    for kind in ("env", "corruption", "objective", "evaluator"):
        text = getattr(result, kind)
        if not _fits(text, config[kind]):
            return f"it is named {kind} {text!r}, and its configuration is of {as_text(config[kind])}"
    return None


def stated_fields(result: CellResult) -> JsonObject:
    """The objective's fields that a record states; of tensors it has digests. Empty if it states none."""
    objective = result.config.get("objective")
    fields = objective.get("fields") if isinstance(objective, dict) else None
    return fields if isinstance(fields, dict) else {}


def without_digests(fields: JsonObject) -> JsonObject:
    """The recorded fields of an objective but for its tensors, of which a record has digests."""
    return {
        name: value for name, value in fields.items() if not (isinstance(value, dict) and "sha256" in value)
    }


def _fits(text: str, identity: Any) -> bool:
    """Whether a canonical spec names what an identity holds, and states none but its values."""
    parts = identity if isinstance(identity, list) else [identity]
    try:
        specs = {spec.name: spec for spec in map(parse, split_sum(text))}
        fields = {part.get("file", part["name"]): part["fields"] for part in parts}
        return specs.keys() == fields.keys() and all(
            _stated(key, value, fields[name]) for name, spec in specs.items() for key, value in spec.args
        )
    except (SpecError, AttributeError, KeyError, TypeError):  # it may be anybody's file
        return False


def _stated(key: str | None, value: str, fields: JsonObject) -> bool:
    """Whether a value that a spec states is that of the field; fields that are in no key cannot be compared."""
    if key is None:
        return value in map(format_value, fields.values())
    return key not in fields or format_value(fields[key]) == value


@dataclass
class Recorded:
    """Plans the cells of records anew, with the components that are installed here.

    Attributes:
        registry: Installed components.
        files: Objective files, by the name in the file: records hold their digests, not their weights.
    """

    registry: Registry
    files: Mapping[str, Path] = field(default_factory=dict)
    _envs: dict[tuple[str, str, str], EnvPlan] = field(default_factory=dict)

    def training(self, result: CellResult) -> Training:
        """The training of a record, with its one cell.

        Raises:
            RequestError: If its configuration is damaged, a component is not installed, or what is installed resolves
                to another configuration: the cell cannot be made again here.
        """
        try:
            found = self._training(result)
        except (AttributeError, KeyError, TypeError) as error:  # it may be anybody's file
            raise RequestError(
                f"the cell {result.key} cannot be made again: its configuration lacks {one_line(error)}"
            ) from error
        except RequestError as error:
            raise RequestError(
                f"the cell {result.key} of {result.plugin} cannot be made again here: {error}"
            ) from error
        (planned,) = found.evaluators
        here = {**found.config, "evaluator": planned.identity, "evaluation": planned.config}
        for where, recorded, now in differences(result.config, here):
            raise RequestError(
                f"the cell {result.key} cannot be made again here: its {where} is {_short(recorded)}, and what is "
                f"installed makes it {_short(now)}; it was made by {_versions(result)}"
            )
        return found

    def _training(self, result: CellResult) -> Training:
        env = self._env(result)
        dataset = env.dataset(result.corruption)
        objective = self._objective(env, dataset, result)
        ((cells, training),) = env.trainings(dataset, objective, [result.seed])
        if training is None:
            raise RequestError(f"it is skipped: {cells[0].skip}")
        return training

    def _env(self, result: CellResult) -> EnvPlan:
        place = result.env, result.evaluator, result.scale
        if place not in self._envs:
            self._envs[place] = EnvPlan(self.registry, result.env, [result.evaluator], result.scale, {})
        return self._envs[place]

    def _objective(self, env: EnvPlan, dataset: PlannedDataset, result: CellResult) -> PlannedObjective:
        """The objective with the recorded values of its fields, and the fewest overrides of the training's."""
        identity, recorded = result.config["objective"], result.config["training"]
        fields = without_digests(identity["fields"])
        text = self._spec(result.objective, identity.get("file"))
        overrides: dict[str, Any] = {}
        objective = env.objective(text, TunedValues(fields))
        while not dataset.skip:
            found = env.training_config(dataset, objective)
            more = _overrides(recorded, found)
            if more.keys() <= overrides.keys():
                break
            overrides |= more
            objective = env.objective(text, TunedValues(fields, overrides))
        return objective

    def _spec(self, text: str, file: str | None) -> str:
        if file is None:
            return text
        if file not in self.files:
            raise RequestError(
                f"its objective is the objective file {file!r}, which is not here: name it with --objective-file"
            )
        return f"{self.files[file]}{text.removeprefix(file)}"


def _overrides(recorded: JsonObject, found: JsonObject) -> dict[str, Any]:
    """Recorded values that are not those that were found, by field of the training configuration."""
    return {
        name: value
        for name, value in recorded.items()
        if name not in found or as_text(value) != as_text(found[name])
    }


def _short(value: Any) -> str:
    text = as_text(value)
    return text if value is ABSENT or len(text) <= _DIGITS else f"{text[:_DIGITS]}…"


def _versions(result: CellResult) -> str:
    return ", ".join(f"{name} {version}" for name, version in result.versions.items()) or result.plugin
