"""The record of one cell: configuration, outcome, and numbers."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, field_serializer, model_validator

from mpobench.protocols import JsonObject, Origin, Sample, Scale

Status: TypeAlias = Literal["ok", "skipped", "diverged", "error"]
"""How a cell ended: finished, refused beforehand, left the finite numbers, or raised."""

_SECRET = re.compile(r"(^|[_-])(api[_-]?key|password|passwd|secret|(access|auth|bearer|hf)[_-]?token)$", re.I)


class CellResult(BaseModel):
    """What one cell of the matrix (environment × corruption × objective × seed × evaluator) came to.

    It holds what decides the result and what came out, never environment variables; fields of ``config``
    whose name says secret (``api_key``, ``auth_token``) are redacted when written.

    Attributes:
        format: of this record; another number means another version of mpobench wrote it.
        key: content key of the cell, and its file's name.
        training_key: content key of the trained policy, shared by the cells of all its evaluators.
        dataset_key: content key of the preference dataset.
        env: canonical spec text, like the next three.
        corruption: of the dataset.
        objective: of the training.
        evaluator: of the policy.
        seed: of dataset and training.
        scale: how much work was spent.
        origin: who designed the objective.
        plugin: distribution and version that the objective comes from: ``mpobench 0.1.0``.
        status: how it ended.
        reason: why it did not end ``ok``, one line; required then.
        metrics: the evaluator's numbers, all finite; ``primary`` is among them if the status is ``ok``.
        primary: name of the metric to rank by.
        unit: of the primary metric: ``return``, ``%``.
        higher_is_better: direction of the primary metric.
        curves: one list per quantity, one entry per epoch; a number that is not finite is written as null.
        seconds: wall time per phase.
        samples: of what the policy did; not written where there are none.
        config: the resolved configuration of environment, dataset, objective, training and evaluation.
            Cells of one objective on one corruption whose configurations differ are never averaged together.
        versions: of the packages that computed it.
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
            name: "redacted" if item and _SECRET.search(name) else _redact(item)
            for name, item in value.items()
        }
    return [_redact(item) for item in value] if isinstance(value, list | tuple) else value
