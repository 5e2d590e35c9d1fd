"""Every registered objective in all its variants, and batches to try them on.

Tests are parametrised over these, so that registering an objective is testing it.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import torch

from mpobench import Objective, Tensors
from mpobench.registry.registry import get_registry
from mpobench.testing import backends
from mpobench.testing.pairs import Pairs

CARDS = {registered.card.name: registered for registered in get_registry().cards("objective")}
FILES = {
    name: file for name, registered in CARDS.items() if (file := get_registry().file(registered)) is not None
}
"""Those of them that are objective files: of the class of another one, with numbers of their own."""
LIBRARIES = (np, jnp, torch)


def build(name: str, **fields: Any) -> Objective:
    """A registered objective with some of its fields set."""
    default = get_registry().build("objective", name).component
    return type(default)(**{**dict(default), **fields})


def family(name: str) -> str:
    """The name under which the class of a registered objective is registered: its own, unless it is a file."""
    return FILES[name].card.objective if name in FILES else name


def has_networks(objective: Objective) -> bool:
    """Whether some of its functions are networks, for which no formula has a name."""
    return any(isinstance(value, Tensors) for _, value in objective)


def schema(objective: Objective) -> dict[str, dict[str, Any]]:
    """JSON schema of each field."""
    return type(objective).model_json_schema()["properties"]


def numeric_fields(objective: Objective) -> dict[str, dict[str, Any]]:
    """The fields that a trainer may trace."""
    return {name: field for name, field in schema(objective).items() if field.get("type") == "number"}


def choices(field: dict[str, Any]) -> list[Any]:
    """The values of a field that has finitely many."""
    return [True, False] if field.get("type") == "boolean" else field.get("enum", [])


def variants() -> dict[str, Objective]:
    """Each objective with its defaults, and with each other choice of each discrete field."""
    found = {}
    for name in CARDS:
        default = build(name)
        found[name] = default
        if (
            name in FILES
        ):  # whose choices are made, and belong to its numbers; those of its class are tried above
            continue
        for field, description in schema(default).items():
            for value in choices(description):
                if value != getattr(default, field):
                    found[f"{name}:{field}={value}"] = build(name, **{field: value})
    return found


VARIANTS = variants()


def torch_gradients(
    objective: Objective, pairs: Pairs, dtype: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss, and its gradients in the totals of the chosen and of the rejected side, by torch."""
    found = backends.torch_gradients(objective, pairs, dtype)
    return found.loss, found.chosen, found.rejected
