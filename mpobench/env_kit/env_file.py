"""An environment's TOML file: frozen models that are read strictly, and layers of training settings."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any, Generic, TypeVar

from mpobench.errors import RequestError
from mpobench.protocols.component import Strict
from mpobench.registry.fields import validated


class Settings(Strict):
    """Settings of an environment."""


DatasetT = TypeVar("DatasetT", bound=Settings)
EvaluationT = TypeVar("EvaluationT", bound=Settings)
TrainingT = TypeVar("TrainingT", bound=Settings)
FileT = TypeVar("FileT", bound=Settings)


class ObjectiveSettings(Settings):
    """An environment's defaults for one objective.

    Attributes:
        fields: Fields of the objective itself.
        training: Fields of the environment's training settings.
    """

    fields: Mapping[str, Any] = {}
    training: Mapping[str, Any] = {}


class ScaleSettings(Settings, Generic[DatasetT, EvaluationT]):
    """The amount of work at one scale.

    Attributes:
        dataset: Size of a dataset.
        evaluation: Size of an evaluation.
        training: Fields of the environment's training settings.
    """

    dataset: DatasetT
    evaluation: EvaluationT
    training: Mapping[str, Any] = {}


class EnvFile(Settings, Generic[DatasetT, EvaluationT]):
    """Tables of every environment's file; a subclass adds those of its environment.

    Attributes:
        training: Fields of the environment's training settings, at every scale.
        scale: Amount of work at each scale.
        every_objective: Defaults of fields, for all objectives that have them.
        objective: Defaults for single objectives.
        search: Defaults of the discovery of objectives, by scale.
    """

    training: Mapping[str, Any] = {}
    scale: Mapping[str, ScaleSettings[DatasetT, EvaluationT]]
    every_objective: Mapping[str, Any] = {}
    objective: Mapping[str, ObjectiveSettings] = {}
    search: Mapping[str, Mapping[str, Any]] = {}

    def objective_defaults(self, name: str, fields: frozenset[str]) -> dict[str, Any]:
        """Defaults for an objective's fields. Those for the single objective win over those for all.

        Args:
            name: Card name of the objective.
            fields: Names of its fields.
        """
        shared = {field: value for field, value in self.every_objective.items() if field in fields}
        return {**shared, **self._of_objective(name).fields}

    def search_defaults(self, scale: str) -> dict[str, Any]:
        """Defaults of the discovery of objectives at a scale."""
        return dict(self.search.get(scale, {}))

    def training_settings(
        self, model: type[TrainingT], scale: str, objective: str, overrides: Mapping[str, Any]
    ) -> TrainingT:
        """The resolved training settings. Each layer wins over the one before it: file, scale, objective, overrides.

        Args:
            model: Class of the settings.
            scale: Scale of the dataset.
            objective: Card name of the objective.
            overrides: Values of the user.

        Raises:
            RequestError: For a value that is unknown or out of range.
        """
        layers = self.training, self.scale[scale].training, self._of_objective(objective).training, overrides
        return resolve(model, "training", layers)

    def _of_objective(self, name: str) -> ObjectiveSettings:
        return self.objective.get(name, ObjectiveSettings())


def resolve(model: type[TrainingT], label: str, layers: Iterable[Mapping[str, Any]]) -> TrainingT:
    """Settings from layers of values, each of which wins over those before it.

    Args:
        model: Class of the settings.
        label: Name of the settings in errors.
        layers: Values by field.

    Raises:
        RequestError: For a value that is unknown or out of range.
    """
    values = {name: value for layer in layers for name, value in layer.items()}
    return validated(model, values, label, RequestError)


def load_env_file(model: type[FileT], package: str, name: str) -> FileT:
    """Reads an environment's file; once in a process.

    Args:
        model: Class of the file, a subclass of :class:`EnvFile`.
        package: Package that holds the file: ``mpobench_mujoco``.
        name: Name of the file in the package: ``tla.toml``.
    """
    file: FileT = _load(model, package, name)
    return file


@cache
def _load(model: type[Settings], package: str, name: str) -> Any:
    return model.model_validate(tomllib.loads(resources.files(package).joinpath(name).read_text("utf-8")))
