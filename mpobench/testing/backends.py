"""Losses and their gradients in jax and torch, both imported on first use.

This module alone of the core imports them: the checks call a loss as trainers do.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpobench.protocols import Objective
from mpobench.testing.pairs import Pairs, batch_of

COMPILED_QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Compiler options of jax: a program that runs a few times need not run fast."""

MEMBERS = 3
"""Members of every population, so that one compiled program serves all."""


def installed(library: str, label: str) -> bool:
    """Whether jax or torch is there; if not, a warning says what is left unchecked."""
    if importlib.util.find_spec(library) is not None:
        return True
    warnings.warn(f"{label} is not checked in {library}, which is not installed", stacklevel=3)
    return False


def torch_namespace() -> Any:
    """Torch."""
    import torch

    return torch


@dataclass(frozen=True)
class Gradients:
    """A loss and the gradients of its sum, as numpy arrays.

    Attributes:
        loss: ``(pairs,)``.
        chosen: ``(pairs,)``, gradient in log π of the chosen sides.
        rejected: ``(pairs,)``, gradient in log π of the rejected sides.
        params: Gradient in each of the objective's params, one flat array a field; empty in torch.
    """

    loss: NDArray[Any]
    chosen: NDArray[Any]
    rejected: NDArray[Any]
    params: dict[str, NDArray[Any]]

    @property
    def by_pair(self) -> dict[str, NDArray[Any]]:
        """What there is one of for each pair, by name."""
        return {
            "the loss": self.loss,
            "its gradient in log π of the chosen side": self.chosen,
            "its gradient in log π of the rejected side": self.rejected,
        }


class JaxLoss:
    """An objective under ``jax.jit``, ``vmap`` and ``grad``: pairs, progress, numbers and networks are tracers.

    Args:
        objective: Objective.

    Attributes:
        compilations: Number of programs that jax has compiled.
    """

    def __init__(self, objective: Objective) -> None:
        import jax

        self.compilations = 0

        def total(params: dict[str, Any], sides: tuple[Any, Any], rest: dict[str, Any]) -> tuple[Any, Any]:
            batch = batch_of({"chosen": sides[0], "rejected": sides[1], **rest})
            loss = objective.static.model_copy(update=params).loss(batch)
            return loss.sum(), loss

        def run(members: dict[str, Any], sides: tuple[Any, Any], rest: dict[str, Any]) -> Any:
            self.compilations += 1
            slopes = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)
            return jax.vmap(slopes, in_axes=(0, None, None), axis_size=MEMBERS)(members, sides, rest)

        self._run = jax.jit(run, compiler_options=COMPILED_QUICKLY)

    def __call__(self, members: list[dict[str, Any]], pairs: Pairs, dtype: str) -> list[Gradients]:
        """The loss and its gradients at :data:`MEMBERS` values of the objective's params."""
        import jax
        import jax.numpy as jnp

        with jax.enable_x64(dtype == "float64"):
            rest = {name: jnp.asarray(array, dtype) for name, array in pairs.arrays.items()}
            sides = rest.pop("chosen"), rest.pop("rejected")
            rest["progress"] = jnp.asarray(pairs.progress, dtype)
            stacked = jax.tree.map(
                lambda *values: np.stack([np.asarray(each, dtype) for each in values]), *members
            )
            (_, loss), (slopes, (chosen, rejected)) = jax.tree.map(
                np.asarray, self._run(stacked, sides, rest)
            )
        return [
            Gradients(
                loss[member],
                chosen[member],
                rejected[member],
                {name: _flat(jax.tree.leaves(slope), member) for name, slope in slopes.items()},
            )
            for member in range(MEMBERS)
        ]


def _flat(leaves: list[Any], member: int) -> NDArray[Any]:
    return np.concatenate([np.ravel(leaf[member]) for leaf in leaves])


def jax_loss_type(objective: Objective, pairs: Pairs, dtype: str) -> tuple[tuple[int, ...], str]:
    """Shape and dtype of the loss of a batch of jax, by an abstract evaluation."""
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(dtype == "float64"):
        arrays = {name: jnp.asarray(array, dtype) for name, array in pairs.arrays.items()}
        fixed = {"progress": pairs.progress}
        loss = jax.eval_shape(lambda traced: objective.loss(batch_of({**traced, **fixed})), arrays)
    return tuple(loss.shape), str(loss.dtype)


def torch_gradients(objective: Objective, pairs: Pairs, dtype: str) -> Gradients:
    """The loss and its gradients in both sides, by torch."""
    import torch

    chosen, rejected = (
        torch.tensor(side, dtype=getattr(torch, dtype), requires_grad=True)
        for side in (pairs.chosen, pairs.rejected)
    )
    loss = objective.loss(pairs.batch(torch, dtype, chosen=chosen, rejected=rejected))
    slopes = torch.autograd.grad(loss.sum(), (chosen, rejected), allow_unused=True)
    by_side = [torch.zeros_like(loss) if slope is None else slope for slope in slopes]
    return Gradients(loss.detach().numpy(), by_side[0].numpy(), by_side[1].numpy(), {})


def torch_slopes(objective: Objective, pairs: Pairs) -> dict[str, float]:
    """Gradients of the summed loss in the objective's numbers, which are tensors of torch; only of those it reads."""
    import torch

    numbers = {
        name: torch.tensor(value, dtype=torch.float32, requires_grad=True)
        for name, value in objective.params.items()
        if isinstance(value, float)
    }
    loss = objective.model_copy(update=numbers).loss(pairs.batch(torch, "float32")).sum()
    if not loss.requires_grad:
        return {}
    slopes = torch.autograd.grad(loss, list(numbers.values()), allow_unused=True)
    return {name: float(slope) for name, slope in zip(numbers, slopes, strict=True) if slope is not None}
