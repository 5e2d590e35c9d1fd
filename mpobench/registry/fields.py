"""Fields of pydantic models in words: tables of options, and validation errors in one line."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from mpobench.protocols import Searched, searched
from mpobench.registry.specs import format_value
from mpobench.registry.suggestions import nearest

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class FieldDoc:
    """The documentation of a field.

    Attributes:
        name: Name in specs.
        type: Type in words (see :func:`type_name`).
        default: Default as specs write it; empty for a required field.
        range: Allowed values (see :func:`bounds`).
        search: Range or choices for tuning; None if the field has none.
        description: One line.
    """

    name: str
    type: str
    default: str
    range: str
    search: Searched | None
    description: str


def describe(model: type[BaseModel]) -> list[FieldDoc]:
    """The fields of a model, in the order of their declaration."""
    return [
        FieldDoc(
            name,
            type_name(info.annotation),
            _default(info),
            bounds(info),
            searched(info),
            info.description or "",
        )
        for name, info in model.model_fields.items()
    ]


def type_name(annotation: Any) -> str:
    """``float``, ``linear|quadratic|sigmoid``, ``int|null``."""
    origin = get_origin(annotation)
    if origin is Literal:
        return "|".join(str(choice) for choice in get_args(annotation))
    if origin in (Union, types.UnionType):
        return "|".join(type_name(choice) for choice in get_args(annotation))
    if annotation is type(None):
        return "null"
    return annotation.__name__ if isinstance(annotation, type) and not origin else str(annotation)


def bounds(info: FieldInfo) -> str:
    """The allowed interval, ``[0, 1]`` or ``(0, ∞)``; empty when there is none."""
    limits = {
        limit: getattr(entry, limit)
        for entry in info.metadata
        for limit in ("ge", "gt", "le", "lt")
        if getattr(entry, limit, None) is not None
    }
    if not limits:
        return ""
    low = f"[{limits['ge']:g}" if "ge" in limits else f"({limits['gt']:g}" if "gt" in limits else "(-∞"
    high = f"{limits['le']:g}]" if "le" in limits else f"{limits['lt']:g})" if "lt" in limits else "∞)"
    return f"{low}, {high}"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return ""
    value = info.get_default(call_default_factory=True, validated_data={})
    return format_value(value) if isinstance(value, bool | int | float | str | None) else str(value)


def validated(model: type[Model], values: Mapping[str, Any], label: str, error: type[Exception]) -> Model:
    """Validates values, texts included (``"0.1"`` for a float).

    Args:
        model: Model to build.
        values: Values by field.
        label: Beginning of the error line: ``corruption 'noisy'``.
        error: Exception to raise, with one line that names the field, its value and what is allowed.
    """
    try:
        return model.model_validate(values)
    except ValidationError as problem:
        raise error(f"{label}: {'; '.join(_explain(model, dict(p)) for p in problem.errors())}") from problem


def _explain(model: type[BaseModel], problem: Mapping[str, Any]) -> str:
    path, kind = problem["loc"], problem["type"]
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if not path:
        return message
    name = str(path[0])
    info = model.model_fields.get(name)
    if info is None:
        return no_such_field(name, model.model_fields)
    if kind == "missing":
        return f"{name!r} has to be given ({_allowed(info)})"
    if message == problem["msg"]:  # pydantic's own words, where a validator's begin with "Value error"
        message = message[0].lower() + message[1:]
    if kind == "too_short":
        return f"{name!r} has to have at least {problem['ctx']['min_length']}"
    where = ".".join(str(step) for step in path)
    given = " ".join(repr(problem["input"]).split())  # arrays print on several lines
    return f"{where}={given:.60}: {message} ({_allowed(info)})"


def no_such_field(name: str, known: Iterable[str]) -> str:
    """``no field 'bta': did you mean 'beta'? (fields: beta, reduction)``."""
    names = list(known)
    match = nearest(name, names)
    guess = f": did you mean {match!r}?" if match else ""
    return f"no field {name!r}{guess} (fields: {', '.join(names) or 'none'})"


def _allowed(info: FieldInfo) -> str:
    interval = bounds(info)
    return type_name(info.annotation) + (f" in {interval}" if interval else "")
