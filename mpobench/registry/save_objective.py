"""Writing objective files: what a search finds becomes an objective that others can name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from mpobench.errors import RequestError
from mpobench.files.atomic import write_atomically
from mpobench.protocols import JsonObject, Objective, Origin, Tensors
from mpobench.registry.fields import validated
from mpobench.registry.objective_files import ObjectiveFileCard
from mpobench.registry.registry import get_registry


def save_objective(
    path: Path,
    objective: Objective,
    registered: str,
    *,
    name: str,
    summary: str,
    citation: str = "",
    origin: Origin = "discovered",
    provenance: JsonObject | None = None,
) -> ObjectiveFileCard:
    """Writes an objective file: every field, so that it outlives a change of defaults.

    The tensors are written before the card, each file whole or not at all: a card that was there before is not
    valid for new tensors, and says so when it is read.

    Args:
        path: Path of the card, ending in ``.json``; the tensors go beside it, under the same stem.
        objective: Objective to save. Its params may be arrays of any library, as a trainer has them.
        registered: Name under which its class is registered.
        name: Name of the new objective.
        summary: One line for listings.
        citation: Paper, arXiv id or URL.
        origin: Designer.
        provenance: How it was made, for readers.

    Raises:
        RequestError: For a name or value that is not allowed, an objective that is not ``registered``'s, or if a file
            cannot be written.
    """
    if path.suffix != ".json":
        raise RequestError(f"cannot save an objective as {path}: its name has to end in .json")
    label = f"objective file {path}"
    registry = get_registry()
    expected = registry.resolve("objective", registered)
    family = registry.base(registry.find("objective", registered)).card.name
    if family != registered:
        raise RequestError(f"{label}: {registered!r} is an objective file itself: save it as a {family!r}")
    if type(objective) is not expected:
        raise RequestError(
            f"{label}: {registered!r} is a {expected.__name__}, and this is a {type(objective).__name__}"
        )
    if name in {other.card.name for other in registry.cards("objective")}:
        raise RequestError(f"{label}: a registered objective is named {name!r} already: choose another name")
    whole = validated(type(objective), dict(objective), label, RequestError)
    tensors = {field: value for field, value in whole if isinstance(value, Tensors)}
    content = _as_safetensors(tensors)
    file = path.with_suffix(".safetensors")
    stored = {"file": file.name, "sha256": hashlib.sha256(content).hexdigest()}
    card = validated(
        ObjectiveFileCard,
        {
            "name": name,
            "summary": summary,
            "citation": citation,
            "origin": origin,
            "objective": registered,
            "fields": whole.model_dump(mode="json", exclude=set(tensors)),
            "tensors": stored if tensors else None,
            "provenance": provenance or {},
        },
        label,
        RequestError,
    )
    if tensors:
        write_atomically(file, content)
    write_atomically(path, card.model_dump_json(indent=2) + "\n")
    return card


def _as_safetensors(fields: Mapping[str, Tensors]) -> bytes:
    from safetensors.numpy import save

    content: bytes = save(
        {f"{field}.{part}": array for field, tensors in fields.items() for part, array in tensors.items()}
    )
    return content
