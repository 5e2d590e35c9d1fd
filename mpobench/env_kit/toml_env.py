"""The base of environments whose settings are in a TOML file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, cast

from mpobench.env_kit.env_file import DatasetT, EnvFile, EvaluationT, TrainingT
from mpobench.protocols import Component, Env, Scale, Searched, TrainingRequest, searched


class TomlEnv(Component, ABC, Generic[TrainingT, DatasetT, EvaluationT]):
    """The configuration of an environment, read from a TOML file: a base class beside :class:`~mpobench.Env`.

    Put it before ``Env``, so that its methods win. A subclass names its classes of settings, and reads its file::

        class HopperFile(EnvFile[HopperDataset, HopperEvaluation]):
            action_std: float

        class Hopper(TomlEnv[HopperTraining, HopperDataset, HopperEvaluation], Env):
            training_model = HopperTraining

            @property
            def settings(self) -> HopperFile:
                return load_env_file(HopperFile, "my_package", "hopper.toml")

    ``hopper.toml`` then has a table ``[scale.quick]`` with ``dataset``, ``evaluation`` and ``training``, and where they
    are wanted ``[training]``, ``[every_objective]``, ``[objective.dpo]`` and ``[search.quick]``
    (see :class:`~mpobench.env_kit.env_file.EnvFile`).

    Attributes:
        training_model: Class of the training settings.
    """

    training_model: ClassVar[type[Any]]

    @property
    @abstractmethod
    def settings(self) -> EnvFile[DatasetT, EvaluationT]:
        """The environment's file."""

    def dataset_settings(self, scale: Scale) -> DatasetT:
        """Size of a dataset at a scale."""
        return self.settings.scale[scale].dataset

    def evaluation_settings(self, scale: Scale) -> EvaluationT:
        """Size of an evaluation at a scale."""
        return self.settings.scale[scale].evaluation

    def training_settings(self, request: TrainingRequest) -> TrainingT:
        """The resolved training settings of a request.

        Raises:
            RequestError: For an override that is unknown or out of range.
        """
        resolved: TrainingT = self.settings.training_settings(
            self.training_model, request.dataset.scale, request.objective_name, request.overrides
        )
        return resolved

    def training_searches(self, request: TrainingRequest) -> dict[str, Searched]:
        """What tuning may search: the training settings that declare it, as objectives do, and that are read."""
        fields, read = self.training_model.model_fields, cast("Env", self).training_config(request)
        declared = {name: searched(fields[name]) for name in read if name in fields}
        return {name: found for name, found in declared.items() if found is not None}

    def objective_defaults(self, name: str, fields: frozenset[str]) -> dict[str, Any]:
        """The file's defaults for an objective's fields (see :meth:`mpobench.Env.objective_defaults`)."""
        return self.settings.objective_defaults(name, fields)

    def search_defaults(self, scale: Scale) -> dict[str, Any]:
        """The file's defaults for the discovery of objectives."""
        return self.settings.search_defaults(scale)
