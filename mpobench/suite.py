"""What to run: a suite, and the plan that it expands into (pure: nothing is trained, nothing written)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mpobench.building import Configured
from mpobench.cells import Cell, Stage, Training
from mpobench.errors import RequestError, SpecError
from mpobench.fields import validated
from mpobench.objective_files import ObjectiveFile
from mpobench.protocols import Evaluator, Objective, Scale
from mpobench.registry import Registry
from mpobench.specs import canonical, parse, split_list, split_sum

Rerun: TypeAlias = Literal["missing", "errors", "all"]
"""Which cells to run although they have a result: none, those that failed or diverged, or all."""

SEEDS: dict[Scale, int] = {"smoke": 1, "quick": 3, "paper": 25}
"""How many seeds a scale has unless the suite says otherwise."""


class Suite(BaseModel):
    """A request: every option of ``mpobench run``, in a TOML file as on the command line.

    Lists of specs may be given as one comma list, as an array of specs, or as an array of tables:
    ``objectives = ["dpo", {name = "tampo", schedule = "sigmoid"}]``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    envs: tuple[str, ...] = Field(("tla",), min_length=1, description="environments")
    corruptions: tuple[str, ...] = Field(("base",), min_length=1, description="dataset corruptions")
    objectives: tuple[str, ...] = Field(min_length=1, description="objectives to compare")
    evaluators: tuple[str, ...] = Field((), description="evaluators; none means each environment's own")
    scale: Scale = Field("quick", description="how much work: seconds, minutes, or the paper's")
    seeds: int | None = Field(None, ge=1, description="seeds 0..N-1; none means the scale's own number")
    training: dict[str, Any] = Field({}, description="overrides of the environment's training configuration")
    results: Path = Field(Path("results"), description="folder of the results")
    launcher: str = Field("local", description="where cells run")
    workers: int | None = Field(None, ge=1, description="tasks at once; none means what the place offers")
    rerun: Rerun = Field("missing", description="which cells to run again")
    title: str = Field("", description="heading of the leaderboard")

    @field_validator("envs", "corruptions", "objectives", "evaluators", mode="before")
    @classmethod
    def _specs(cls, value: object) -> tuple[str, ...]:
        if value in ("", [], ()):
            return ()
        entries = value if isinstance(value, list | tuple) else [value]
        try:
            return tuple(spec for entry in entries for spec in split_list(_entry(entry)))
        except SpecError as error:  # pydantic wants a ValueError, and then names the field
            raise ValueError(str(error)) from error

    @property
    def seed_count(self) -> int:
        """How many seeds each cell of the table has."""
        return SEEDS[self.scale] if self.seeds is None else self.seeds

    @classmethod
    def of(cls, values: Mapping[str, Any], source: str = "suite") -> Suite:
        """A suite from plain values; None means not given.

        Raises:
            RequestError: one line that names the source, the field and what is allowed.
        """
        given = {key: value for key, value in values.items() if value is not None}
        return validated(cls, given, source, RequestError)

    @classmethod
    def from_toml(cls, path: Path, overrides: Mapping[str, Any] | None = None) -> Suite:
        """A suite from a file, with what the command line says above it.

        Raises:
            RequestError: if the file cannot be read, or what it says is not a suite.
        """
        import tomllib

        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RequestError(f"cannot read suite {path}: {error.strerror}") from error
        except ValueError as error:  # malformed TOML, with line and column, or not UTF-8
            raise RequestError(f"{path} is not a TOML file: {error}") from error
        above = {key: value for key, value in (overrides or {}).items() if value is not None}
        return cls.of({**values, **above}, str(path))


def _entry(entry: object) -> str:
    """A spec as a list may hold it: a text, or a table of name and fields."""
    if isinstance(entry, str):
        return entry
    if not isinstance(entry, dict):
        raise SpecError(f"{entry!r} is neither a spec nor a table with a name")
    fields = dict(entry)
    name = fields.pop("name", None)
    if not isinstance(name, str):
        raise SpecError(f'{entry!r} has no name: write {{name = "...", ...}}')
    if fields and (len(split_sum(name)) > 1 or parse(name).args):
        raise SpecError(f"{name!r} already has arguments: write them all as fields of the table, or none")
    return canonical(name, fields)


def _each_name_once(objectives: Iterable[Configured[Objective]]) -> None:
    """Refuses two objective files of one name, whose rows nobody could tell apart."""
    files: dict[str, ObjectiveFile] = {}
    for file in (objective.file for objective in objectives):
        if file is None:
            continue
        first = files.setdefault(file.card.name, file)
        if first.path.resolve() != file.path.resolve():
            raise RequestError(
                f"{first} and {file} are both named {file.card.name!r}: give one of them another name in its file"
            )


@dataclass(frozen=True)
class Plan:
    """What a suite expands into.

    Attributes:
        cells: of the whole table, each once, skipped ones included, by environment, corruption, objective,
            seed and evaluator.
        trainings: what has to be trained for the cells that are not skipped.
        evaluators: by canonical spec.
        objectives: by canonical specs of environment and objective.
    """

    cells: tuple[Cell, ...]
    trainings: tuple[Training, ...]
    evaluators: dict[str, Configured[Evaluator]]
    objectives: dict[tuple[str, str], Configured[Objective]]


def plan(suite: Suite, registry: Registry) -> Plan:
    """Expands a suite into cells and trainings: a product, less what is said twice.

    Raises:
        RequestError: for unknown or broken components, values that are not allowed, two objective files of one name, or
            a training configuration that an environment rejects.
    """
    cells: list[Cell] = []
    trainings: list[Training] = []
    evaluators: dict[str, Configured[Evaluator]] = {}
    configured: dict[tuple[str, str], Configured[Objective]] = {}
    stages = [Stage(registry, env, suite.evaluators, suite.scale, suite.training) for env in suite.envs]
    for stage in {stage.env.text: stage for stage in stages}.values():
        evaluators |= {score.evaluator.text: score.evaluator for score in stage.scores}
        datasets = [stage.dataset(corruption) for corruption in suite.corruptions]
        objectives = [stage.objective(objective) for objective in suite.objectives]
        _each_name_once(objectives)
        configured |= {(stage.env.text, objective.text): objective for objective in objectives}
        for dataset in {dataset.corruption.text: dataset for dataset in datasets}.values():
            for objective in {objective.text: objective for objective in objectives}.values():
                for found, training in stage.expand(dataset, objective, range(suite.seed_count)):
                    cells.extend(found)
                    if training is not None:
                        trainings.append(training)
    return Plan(tuple(cells), tuple(trainings), evaluators, configured)
