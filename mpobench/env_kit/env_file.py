"""Settings of an environment's TOML file: frozen models, read strictly, in layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from mpobench.errors import RequestError
from mpobench.protocols.component import Strict


class Settings(Strict):
    """Settings of an environment."""


class ObjectiveSettings(Settings):
    """An environment's defaults for one objective.

    Attributes:
        fields: Fields of the objective itself.
        training: Fields of the environment's training configuration.
    """

    fields: Mapping[str, Any] = {}
    training: Mapping[str, Any] = {}


class EnvFile(Settings):
    """The settings of every environment's file.

    Attributes:
        training: Fields of the environment's training configuration, at every scale.
        every_objective: Defaults of fields, for all objectives that have them.
        objective: Defaults for single objectives.
        search: Defaults of the discovery of objectives, by scale.
    """

    training: Mapping[str, Any] = {}
    every_objective: Mapping[str, Any] = {}
    objective: Mapping[str, ObjectiveSettings] = {}
    search: Mapping[str, Mapping[str, Any]] = {}

    def objective_defaults(self, name: str, fields: frozenset[str]) -> dict[str, Any]:
        """Defaults for an objective's fields: those for all that have them, and above them its own."""
        shared = {field: value for field, value in self.every_objective.items() if field in fields}
        return {**shared, **self._own(name).fields}

    def search_defaults(self, scale: str) -> dict[str, Any]:
        """Defaults of the discovery of objectives at a scale."""
        return dict(self.search.get(scale, {}))

    def training_layers(
        self, scale: Mapping[str, Any], name: str, overrides: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], ...]:
        """Layers for :func:`resolve`: the file's, the scale's, the objective's, the user's."""
        return self.training, scale, self._own(name).training, overrides

    def _own(self, name: str) -> ObjectiveSettings:
        return self.objective.get(name, ObjectiveSettings())


S = TypeVar("S", bound=Settings)


def resolve(model: type[S], label: str, layers: Iterable[Mapping[str, Any]]) -> S:
    """Settings from layers of values: the environment's, the scale's, an objective's, the user's.

    Args:
        model: Class of the settings.
        label: Name of the settings in errors.
        layers: Layers of values, each above the one before it.

    Raises:
        RequestError: For a value that is unknown or out of range.
    """
    values: dict[str, Any] = {}
    for layer in layers:
        values |= layer
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        culprit = ".".join(str(part) for part in first["loc"])
        known = ", ".join(model.model_fields)
        raise RequestError(
            f"{label}.{culprit} = {first['input']!r}: {first['msg'].lower()} (fields: {known})"
        ) from error
