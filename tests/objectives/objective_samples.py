"""Every registered objective in all its variants, and batches to try them on.

Tests are parametrised over these, so that registering an objective is testing it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from mpobench import Objective, PreferenceBatch, SequenceLogps, Tensors
from mpobench.registry.registry import get_registry

CARDS = {registered.card.name: registered for registered in get_registry().cards("objective")}
FILES = {
    name: file for name, registered in CARDS.items() if (file := get_registry().file(registered)) is not None
}
"""Those of them that are objective files: of the class of another one, with numbers of their own."""
LIBRARIES = ("numpy", "jax.numpy", "torch")


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
FORMULAS = {
    text: built
    for text, built in VARIANTS.items()
    if not text.partition(":")[2].startswith(("reduction", "sft"))
}
"""The variants that run different lines: without those that choose sums or means, or a stage before."""


@dataclass(frozen=True)
class Pairs:
    """The numbers of a batch in float64 numpy: totals in nats, lengths in steps, all ``(pairs,)``."""

    chosen: np.ndarray
    rejected: np.ndarray
    reference_chosen: np.ndarray
    reference_rejected: np.ndarray
    chosen_length: np.ndarray
    rejected_length: np.ndarray
    progress: float = 0.4

    def rounded(self, dtype: str) -> Pairs:
        """The nearest numbers that ``dtype`` can hold, still as float64."""
        arrays = {name: value for name, value in vars(self).items() if name != "progress"}
        return replace(
            self, **{name: value.astype(dtype).astype("float64") for name, value in arrays.items()}
        )

    def batch(self, library: str, dtype: str, **replaced: Any) -> PreferenceBatch:
        """The batch in an array library; ``replaced`` arrays go in as they are."""
        xp = importlib.import_module(library)
        arrays = {
            name: xp.asarray(value, dtype=getattr(xp, dtype))
            for name, value in vars(self).items()
            if name != "progress"
        } | replaced
        return PreferenceBatch(
            chosen=SequenceLogps(arrays["chosen"], arrays["chosen_length"]),
            rejected=SequenceLogps(arrays["rejected"], arrays["rejected_length"]),
            reference_chosen=SequenceLogps(arrays["reference_chosen"], arrays["chosen_length"]),
            reference_rejected=SequenceLogps(arrays["reference_rejected"], arrays["rejected_length"]),
            progress=arrays.get("progress", self.progress),
        )


def random_pairs(seed: int, pairs: int = 16) -> Pairs:
    """Plausible pairs: 1 to 200 steps, means between −14 and −0.01 nats, a reference within 20 nats, below 1."""
    rng = np.random.default_rng(seed)
    length = rng.integers(1, 200, (2, pairs)).astype("float64")
    total = -rng.uniform(0.01, 14, (2, pairs)) * length
    reference = np.minimum(total + rng.uniform(-20, 20, (2, pairs)), -0.01 * length)
    return Pairs(*total, *reference, *length, progress=float(rng.random()))


def torch_gradients(
    objective: Objective, pairs: Pairs, dtype: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss, and its gradients in the totals of the chosen and of the rejected side, by torch."""
    chosen = torch.tensor(pairs.chosen, dtype=getattr(torch, dtype), requires_grad=True)
    rejected = torch.tensor(pairs.rejected, dtype=getattr(torch, dtype), requires_grad=True)
    loss = objective.loss(pairs.batch("torch", dtype, chosen=chosen, rejected=rejected))
    gradients = torch.autograd.grad(loss.sum(), (chosen, rejected), allow_unused=True)
    values = [torch.zeros_like(loss) if gradient is None else gradient for gradient in gradients]
    return loss.detach().numpy(), values[0].numpy(), values[1].numpy()
