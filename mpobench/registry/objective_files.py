"""Objective files: an objective with its numbers, as a JSON card and, for networks, a safetensors file beside it.

What discovery finds is kept, sent and cited as such a file, and it is accepted wherever the name of an
objective is: ``--objectives dpo,./found/objective.json:lam=0.5``. It holds data only, never code or pickles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mpobench.errors import RequestError
from mpobench.protocols import JsonObject, Origin, Tensors
from mpobench.registry.cards import NAME
from mpobench.registry.fields import validated

Format = Literal["mpobench-objective/1"]
FORMAT: str = get_args(Format)[0]
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"
"""One line of text: what a listing shows must not steer the terminal."""


class ObjectiveFileError(RequestError):
    """An objective file that cannot be read, or is not what it should be."""


class StoredTensors(BaseModel):
    """The file of the tensors.

    Attributes:
        file: Name of a safetensors file in the card's folder; its tensors are named ``<field>.<name>``.
        sha256: Digest of that file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @field_validator("file")
    @classmethod
    def _beside_the_card(cls, value: str) -> str:
        if not value.endswith(".safetensors") or {"/", "\\", "\0"} & set(value):
            raise ValueError("the tensors are a .safetensors file beside the card, named without a folder")
        return value


class ObjectiveFileCard(BaseModel):
    """The content of the JSON file.

    Attributes:
        format: Format of this card; another number means that another version of mpobench wrote it.
        name: Name of the objective in results and leaderboards; no registered objective has it.
        summary: One line for listings.
        citation: Paper, arXiv id or URL.
        origin: Designer (see :class:`~mpobench.registry.cards.ObjectiveCard`).
        objective: Name of the registered objective whose fields these are.
        fields: Values of the fields; one that is not given is the environment's or the objective's own default.
        tensors: File of the fields that hold arrays; None if there are none.
        provenance: How it was made, for readers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Format = "mpobench-objective/1"
    name: str = Field(pattern=f"^{NAME}$", max_length=60)
    summary: str = Field(min_length=1, max_length=160, pattern=PRINTABLE)
    citation: str = Field("", pattern=PRINTABLE)
    origin: Origin = "discovered"
    objective: str
    fields: dict[str, Any] = {}
    tensors: StoredTensors | None = None
    provenance: JsonObject = {}

    @field_validator("name")
    @classmethod
    def _no_path(cls, value: str) -> str:
        if value.endswith(".json"):
            raise ValueError("a name that ends in .json would be read as the path of a file")
        return value

    @field_validator("fields", "provenance")
    @classmethod
    def _text(cls, value: JsonObject) -> JsonObject:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except (TypeError, UnicodeEncodeError) as error:
            raise ValueError(f"it cannot be written as JSON in UTF-8: {error}") from error
        return value


@dataclass(frozen=True)
class ObjectiveFile:
    """An objective file that has been read.

    Attributes:
        path: Path of the card.
        card: Content of the card.
        values: Values of all fields that it gives, tensors included.
    """

    path: Path
    card: ObjectiveFileCard
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return f"objective file {self.path}"


def read_objective_file(path: Path) -> ObjectiveFile:
    """Reads a card and its tensors; whether the objective takes them is for the registry to see.

    Raises:
        ObjectiveFileError: If either file is missing, damaged or of another format, or the tensors are not
            the ones that the card was saved with.
    """
    label = f"objective file {path}"
    card = read_objective_card(path)
    tensors = {} if card.tensors is None else _read_tensors(path.parent, card.tensors, label)
    for field in tensors:
        if field in card.fields:
            raise ObjectiveFileError(f"{label}: {field!r} is given twice, as a value and as tensors")
    return ObjectiveFile(path, card, {**card.fields, **tensors})


def read_objective_card(path: Path) -> ObjectiveFileCard:
    """Reads a card alone, which imports no library that computes.

    Raises:
        ObjectiveFileError: If it is missing, damaged or of another format.
    """
    label = f"objective file {path}"
    content = _read(path, label)
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:  # malformed, not UTF-8, or nested without end
        raise ObjectiveFileError(f"{label} is not JSON: {error}") from error
    found = said.get("format") if isinstance(said, dict) else None
    if found != FORMAT:
        raise ObjectiveFileError(
            f"{label} has format {found!r}, not {FORMAT!r}: it is no objective file, or another version of "
            "mpobench wrote it"
        )
    return validated(ObjectiveFileCard, said, label, ObjectiveFileError)


def _read(path: Path, label: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # a ValueError for a name that no file can have
        reason = getattr(error, "strerror", None) or str(error)
        raise ObjectiveFileError(f"cannot read {label}: {reason.lower()}") from error


def _read_tensors(folder: Path, stored: StoredTensors, label: str) -> dict[str, Tensors]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = _read(folder / stored.file, f"the tensors of {label}, {stored.file}")
    if hashlib.sha256(content).hexdigest() != stored.sha256:
        raise ObjectiveFileError(
            f"{label}: {stored.file} is not the file that it was saved with (its SHA-256 differs); "
            "copy or save both files anew"
        )
    try:
        arrays = load(content)
    except (SafetensorError, KeyError, TypeError) as error:  # the last two for types that numpy does not have
        raise ObjectiveFileError(
            f"{label}: {stored.file} is no safetensors file of numbers: {error}"
        ) from error
    fields: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        field, _, part = name.partition(".")
        fields.setdefault(field, {})[part] = array
    try:
        return {field: Tensors(parts) for field, parts in fields.items()}
    except ValueError as error:
        raise ObjectiveFileError(f"{label}: {stored.file}: {error}") from error
