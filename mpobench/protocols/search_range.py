"""Ranges in which tuning searches a field, declared on the field itself.

Numbers: ``Field(1.0, gt=0, json_schema_extra={"search": {"low": 0.01, "high": 100.0, "log": True}})``; anything else, a
``Literal`` or a bool: ``json_schema_extra={"search": {"choices": ["linear", "sigmoid"]}}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class SearchRange:
    """The range in which tuning searches a numeric field.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Whether to search on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        """``[0.01, 100] log``."""
        return f"[{self.low:g}, {self.high:g}]{' log' * self.log}"


@dataclass(frozen=True)
class SearchChoices:
    """The values that tuning tries for a field that is no number, or has few of them.

    Attributes:
        choices: Values, at least two.
    """

    choices: tuple[Any, ...]

    def __str__(self) -> str:
        """``linear|sigmoid``."""
        return "|".join(map(str, self.choices))


Searched: TypeAlias = SearchRange | SearchChoices
"""What tuning may do with a field."""


def searched(info: FieldInfo) -> Searched | None:
    """The range or the choices that a field declares; None if tuning leaves it alone."""
    extra: Any = info.json_schema_extra
    if not isinstance(extra, dict) or "search" not in extra:
        return None
    declared = extra["search"]
    if "choices" in declared:
        return SearchChoices(tuple(declared["choices"]))
    return SearchRange(**declared)
