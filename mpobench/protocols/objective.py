"""Objectives: losses on the log-probabilities of preference pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from mpobench.protocols.component import Component
from mpobench.protocols.tensors import Tensors

if TYPE_CHECKING:
    from mpobench.protocols.preferences import Array, PreferenceBatch

Origin: TypeAlias = Literal["human", "ours", "discovered"]
"""Designer of an objective: people by hand, the benchmark's own paper by hand, or evolution."""


class Objective(Component, ABC):
    """A preference-optimization loss, written once against the Python array-API standard.

    The same object trains a brax policy under ``jax.jit``/``grad``/``vmap`` and a language model under torch
    autograd. A trainer replaces numeric fields by tracers, so that tuning and evolution never recompile. Therefore a
    loss has no Python branch on a number (use ``xp.where``). Network weights are a field of type
    :class:`~mpobench.Tensors`, and are traced likewise.

    Attributes:
        needs_reference: Whether ``loss`` reads ``batch.reference``. The reference policy is the one at the end of a
            supervised fine-tuning (SFT) stage.
    """

    needs_reference: ClassVar[bool] = False

    @property
    def two_stage(self) -> bool:
        """Whether an SFT stage comes before this loss."""
        return self.needs_reference

    @property
    def min_pairs(self) -> int:
        """Number of pairs in an update that the loss needs to be what was published.

        It is 1 where the loss of a pair is a function of that pair. A loss of a pair that depends on the other pairs of
        its batch, as by a mean over them, states the batch size that it was published with. Trainers give it such a
        batch by default, and compute it over a whole update, however many parts that is computed in.
        """
        return 1

    @property
    def params(self) -> dict[str, Any]:
        """The traceable fields: every float, and every ``Tensors`` as a plain dict of its arrays.

        A pytree. ``objective.model_copy(update=params)`` is the loss at other values of the same structure, tracers
        included.
        """
        params: dict[str, Any] = {}
        for name, value in self:
            if isinstance(value, Tensors):
                params[name] = dict(value)
            elif type(value) is float:
                params[name] = value
        return params

    @property
    def static(self) -> Objective:
        """The objective without its params: equal, and of equal hash, for all that share a compiled program."""
        empty = {float: 0.0, Tensors: Tensors({})}
        return self.model_copy(update={name: empty[type(getattr(self, name))] for name in self.params})

    @abstractmethod
    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair, to be minimised.

        Args:
            batch: Log-probabilities of the pairs, arrays of shape ``(pairs,)``.

        Returns:
            ``(pairs,)``, in the batch's own dtype and array library.
        """
