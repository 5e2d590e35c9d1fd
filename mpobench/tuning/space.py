"""The space that tuning searches for one objective on one dataset: its own fields, and those of its training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic.fields import FieldInfo

from mpobench.planning.env_plan import EnvPlan, PlannedDataset, PlannedObjective
from mpobench.planning.tuned_file import TunedValues
from mpobench.protocols import JsonObject, SearchChoices, Searched, searched
from mpobench.tuning.relevance import is_read

Point: TypeAlias = Mapping[str, Any]
"""A configuration: a value for each dimension, by the dimension's key."""

EDGE = 0.02
"""Share of a range, at either end, within which an optimum is reported: it may lie beyond."""

DIGITS = 3
"""Significant digits of the numbers that are tried, so that a file shows what was trained."""


@dataclass(frozen=True)
class Dimension:
    """A field that is searched.

    Attributes:
        owner: The objective, whose ``fields`` it is of, or the environment's ``training`` configuration.
        name: Name of the field.
        search: Range or choices.
        integer: Whether its values are whole numbers.
        default: Value without tuning, which may lie outside of the range.
    """

    owner: Literal["fields", "training"]
    name: str
    search: Searched
    integer: bool
    default: Any

    @property
    def key(self) -> str:
        """``beta``, ``training.learning_rate``."""
        return self.name if self.owner == "fields" else f"training.{self.name}"

    def within(self, value: Any) -> Any:
        """The nearest value that the range has, with few digits; of choices the first, if it is none of them."""
        if isinstance(self.search, SearchChoices):
            return value if value in self.search.choices else self.search.choices[0]
        if not isinstance(value, int | float):
            value = self.search.low
        clipped = min(max(value, self.search.low), self.search.high)
        if self.integer:
            return round(clipped)
        return min(max(float(f"{clipped:.{DIGITS}g}"), self.search.low), self.search.high)

    def edge(self, value: Any) -> str | None:
        """A line that says on which edge of the range a value lies; None if on neither."""
        if isinstance(self.search, SearchChoices) or not isinstance(value, int | float):
            return None
        low, high = self.search.low, self.search.high
        if self.search.log:
            share = math.log(value / low) / math.log(high / low) if value > 0 else 0.0
        else:
            share = (value - low) / (high - low)
        if EDGE < share < 1 - EDGE:
            return None
        side = "low" if share <= EDGE else "high"
        return f"{self.key} = {value:g} is at the {side} end of {self.search}"


@dataclass(frozen=True)
class Space:
    """The dimensions of a search, the objective's fields first."""

    dimensions: tuple[Dimension, ...]

    @property
    def default(self) -> Point:
        """The configuration without tuning."""
        return {dimension.key: dimension.default for dimension in self.dimensions}

    def values(self, point: Point) -> TunedValues:
        """The fields that a point sets."""

        def of(owner: str) -> dict[str, Any]:
            return {each.name: point[each.key] for each in self.dimensions if each.owner == owner}

        return TunedValues(of("fields"), of("training"))

    def edges(self, point: Point) -> tuple[str, ...]:
        """A line for each value of a point that lies on an edge of its range."""
        lines = (dimension.edge(point[dimension.key]) for dimension in self.dimensions)
        return tuple(line for line in lines if line is not None)

    def describe(self) -> JsonObject:
        """All that decides the search, as JSON."""
        return {each.key: [str(each.search), each.integer, repr(each.default)] for each in self.dimensions}


def find_space(env: EnvPlan, dataset: PlannedDataset, objective: PlannedObjective) -> Space:
    """The fields that declare a range, but for those that the spec states and those that the user has set.

    Nor fields of the objective that its loss does not read, such as the index of an entropy that is not chosen.

    Args:
        env: Environment.
        dataset: Corruption.
        objective: Objective over the environment's defaults.
    """
    component, stated = objective.configured.component, objective.configured.stated
    fields = [
        Dimension("fields", name, search, _whole(info), getattr(component, name))
        for name, info in type(component).model_fields.items()
        if name not in stated and (search := searched(info)) is not None
    ]
    chosen = any(isinstance(field.search, SearchChoices) for field in fields)
    if not chosen:  # else a choice may be what makes a field matter
        fields = [field for field in fields if is_read(component, field.name, field.search)]
    config = env.training_config(dataset, objective)
    trainings = [
        Dimension("training", name, search, isinstance(config[name], int), config[name])
        for name, search in env.training_searches(dataset, objective).items()
        if name not in env.overrides
    ]
    return Space((*fields, *trainings))


def _whole(info: FieldInfo) -> bool:
    return info.annotation is int
