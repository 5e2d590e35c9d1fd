"""Suites: every option of a run, from the command line, a TOML file or Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mpobench.errors import RequestError, SpecError
from mpobench.planning.tuned_file import FIRST_TUNING_SEED
from mpobench.protocols import CLEAN, Scale
from mpobench.registry.fields import validated
from mpobench.registry.specs import canonical, parse, split_list, split_sum

Rerun: TypeAlias = Literal["missing", "errors", "all"]
"""Which cells to run although they have a result: none, those that failed or diverged, or all."""

SEEDS: dict[Scale, int] = {"smoke": 1, "quick": 3, "paper": 25}
"""Number of seeds of a scale unless the suite says otherwise."""


class Suite(BaseModel):
    """A request: every option of ``mpobench run``, in a TOML file as on the command line.

    Lists of specs may be given as one comma list, as an array of specs, or as an array of tables:
    ``objectives = ["dpo", {name = "tampo", schedule = "sigmoid"}]``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    envs: tuple[str, ...] = Field((), min_length=1, description="environments; none means the default one")
    corruptions: tuple[str, ...] = Field((CLEAN,), min_length=1, description="dataset corruptions")
    objectives: tuple[str, ...] = Field(min_length=1, description="objectives to compare")
    evaluators: tuple[str, ...] = Field((), description="evaluators; none means each environment's own")
    scale: Scale = Field("quick", description="how much work: seconds, minutes, or the paper's")
    seeds: int | None = Field(None, ge=1, description="seeds 0..N-1; none means the scale's own number")
    training: dict[str, Any] = Field({}, description="overrides of the environment's training configuration")
    tuned: Path | None = Field(None, description="file of tuned values, which mpobench tune has made")
    results: Path = Field(Path("results"), description="folder of the results")
    launcher: str = Field("local", description="where cells run")
    workers: int | None = Field(None, ge=1, description="tasks at once; none means what the place offers")
    cell_timeout: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="seconds that a task may take before its worker is ended; none means no limit",
    )
    log: tuple[str, ...] = Field((), description="trackers that show the cells; none means none")
    rerun: Rerun = Field("missing", description="which cells to run again")
    title: str = Field("", description="heading of the leaderboard")

    @field_validator("envs", "corruptions", "objectives", "evaluators", "log", mode="before")
    @classmethod
    def _specs(cls, value: object) -> tuple[str, ...]:
        if value in ("", [], ()):
            return ()
        entries = value if isinstance(value, list | tuple) else [value]
        try:
            return tuple(spec for entry in entries for spec in split_list(_entry(entry)))
        except SpecError as error:  # pydantic wants a ValueError, and then names the field
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _no_tuning_seed(self) -> Suite:
        if self.tuned is not None and self.seed_count > FIRST_TUNING_SEED:
            raise ValueError(
                f"seeds={self.seed_count}: seeds from {FIRST_TUNING_SEED} on are those of tuning: take at most "
                f"{FIRST_TUNING_SEED} with tuned values"
            )
        return self

    @property
    def seed_count(self) -> int:
        """Number of seeds of each cell of the table."""
        return SEEDS[self.scale] if self.seeds is None else self.seeds

    @classmethod
    def of(cls, values: Mapping[str, Any], source: str = "suite") -> Suite:
        """A suite from plain values; None means not given.

        Raises:
            RequestError: One line that names the source, the field and what is allowed.
        """
        given = {key: value for key, value in values.items() if value is not None}
        return validated(cls, given, source, RequestError)

    @classmethod
    def from_toml(cls, path: Path, overrides: Mapping[str, Any] | None = None) -> Suite:
        """A suite from a file, with what the command line says above it.

        Raises:
            RequestError: If the file cannot be read, or what it says is not a suite.
        """
        import tomllib

        try:
            values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
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
