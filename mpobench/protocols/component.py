"""The base of all components: a frozen pydantic model whose fields are its options."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, field_validator

from mpobench.values import without_negative_zero

Scale: TypeAlias = Literal["smoke", "quick", "paper"]
"""Amount of work of a run: seconds (``smoke``), minutes (``quick``), or that of the paper."""

JsonObject: TypeAlias = dict[str, Any]
"""A value that ``json.dumps`` accepts. It enters a content key, so it has to name everything that decides a result."""


class Strict(BaseModel):
    """Base of everything that enters a content key: frozen, no unknown field, no NaN or infinity, no -0.0."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _one_zero(cls, value: Any) -> Any:
        return without_negative_zero(value)


class Component(Strict):
    """Base of all components: frozen, hashable, and strict about its fields.

    A spec string (``dpo:beta=0.2``), a TOML table and a Python call build the same object.

    Attributes:
        not_in_key: Fields that stay out of content keys. Either they decide no result, such as an address, or the
            component's configuration already has their meaning, such as the content of a file.
    """

    not_in_key: ClassVar[frozenset[str]] = frozenset()
