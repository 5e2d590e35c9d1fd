"""The record of one cell: configuration, outcome, and numbers."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, field_serializer, model_validator

from mpobench.protocols import JsonObject, Origin, Sample, Scale

Status: TypeAlias = Literal["ok", "skipped", "diverged", "error"]
"""How a cell ended: finished, refused beforehand, left the finite numbers, or raised."""

SECRET_NAME = re.compile(
    r"(^|[_-])((api|access|secret)[_-]?key|password|passwd|secret|(access|auth|bearer|hf|tracking)[_-]?token)$",
    re.I,
)
"""Pattern of a name that says secret: ``api_key``, ``HF_TOKEN``; ``eos_token`` says none."""


class CellResult(BaseModel):
    """The record of one cell of the matrix: environment × corruption × objective × seed × evaluator.

    It holds what decides the result and what came out, never environment variables; fields of ``config``
    whose name says secret (``api_key``, ``auth_token``) are redacted when written.

    Attributes:
        format: Format of this record; another number means that another version of mpobench wrote it.
        key: Content key of the cell, and its file's name.
        training_key: Content key of the trained policy, shared by the cells of all its evaluators.
        dataset_key: Content key of the preference dataset.
        env: Canonical spec, like the next three.
        corruption: Corruption of the dataset.
        objective: Objective of the training.
        evaluator: Evaluator of the policy.
        seed: Seed of dataset and training.
        scale: Amount of work.
        origin: Designer of the objective.
        plugin: Distribution and version that the objective comes from: ``mpobench 0.1.0``.
        status: End of the cell.
        reason: Reason why it did not end ``ok``, one line; required then.
        metrics: The evaluator's numbers, all finite; ``primary`` is among them if the status is ``ok``.
        primary: Name of the metric to rank by.
        unit: Of the primary metric: ``return``, ``%``.
        higher_is_better: Direction of the primary metric.
        curves: One list per quantity, one entry per epoch; a number that is not finite is written as null.
        seconds: Wall time per phase.
        pairs_per_update: Number of pairs in an update of the stage that the objective rules; not written where its
            environment does not say.
        dataset: Measured properties of the dataset, by name with unit; not written where there are none.
        samples: Answers of the policy; not written where there are none.
        config: The resolved configuration of environment, dataset, objective, training and evaluation.
            Cells of one objective on one corruption whose configurations differ are never averaged together.
        versions: Versions of the packages that computed it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["mpobench-cell/1"] = "mpobench-cell/1"
    key: str = Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")
    training_key: str
    dataset_key: str
    env: str
    corruption: str
    objective: str
    evaluator: str
    seed: NonNegativeInt
    scale: Scale
    origin: Origin
    plugin: str
    status: Status
    reason: str = ""
    metrics: dict[str, float] = {}
    primary: str = ""
    unit: str = ""
    higher_is_better: bool = True
    curves: dict[str, list[Annotated[float, Field(allow_inf_nan=True)] | str | None]] = {}
    seconds: dict[str, float] = {}
    pairs_per_update: int | None = Field(None, exclude_if=lambda pairs: pairs is None)
    dataset: dict[str, float] = Field({}, exclude_if=lambda facts: not facts)
    samples: tuple[Sample, ...] = Field((), exclude_if=lambda samples: not samples)
    config: JsonObject = {}
    versions: dict[str, str] = {}

    @model_validator(mode="after")
    def _says_what_happened(self) -> CellResult:
        if self.status == "ok" and self.primary not in self.metrics:
            raise ValueError(f"the primary metric {self.primary!r} is not among the metrics")
        if self.status != "ok" and not self.reason:
            raise ValueError(f"a cell that ended {self.status!r} needs a reason")
        return self

    @field_serializer("config")
    def _without_secrets(self, config: JsonObject) -> JsonObject:
        redacted: JsonObject = _redact(config)
        return redacted

    def to_json(self) -> bytes:
        """The record as one line of strict JSON (no NaN), without the newline."""
        return self.model_dump_json().encode()


def _redact(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: "redacted" if item and SECRET_NAME.search(name) else _redact(item)
            for name, item in value.items()
        }
    return [_redact(item) for item in value] if isinstance(value, list | tuple) else value
