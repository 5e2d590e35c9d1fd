"""Input of objectives: log-probabilities of the two sides of a batch of preference pairs.

The arrays may belong to any library of the Python array-API standard (numpy, jax.numpy,
torch): a loss is written once, against ``batch.xp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import array_api_compat

Array: TypeAlias = Any
"""An array of any array-API library. The standard has no type that numpy, jax (tracers
included) and torch share, so the checker sees ``Any``; shapes are stated in docstrings."""

_NAMESPACES: dict[type, Any] = {}
"""Namespaces by type of array: in eager mode a look-up costs as much as an operation on a thousand pairs."""


@dataclass(frozen=True)
class SequenceLogps:
    """Log-probability of sequences under one policy.

    Attributes:
        total: ``(pairs,)``, log π(τ) summed over steps or tokens, in nats.
        length: ``(pairs,)``, number of steps or tokens of each sequence, at least 1.
    """

    total: Array
    length: Array

    @property
    def mean(self) -> Array:
        """``(pairs,)``: log π(τ) per step, in nats."""
        return self.total / self.length


@dataclass(frozen=True)
class PreferenceBatch:
    """A batch of preference pairs, as an :class:`~mpobench.Objective` sees it.

    Attributes:
        chosen: The policy's log-probabilities of the preferred sequences.
        rejected: The policy's log-probabilities of the others.
        reference_chosen: The reference policy's log-probabilities, for objectives that need one, else None.
        reference_rejected: Likewise.
        progress: Share of training that is done, from 0 at the first update to 1 at the last.
    """

    chosen: SequenceLogps
    rejected: SequenceLogps
    reference_chosen: SequenceLogps | None = None
    reference_rejected: SequenceLogps | None = None
    progress: Array = 0.0

    @property
    def xp(self) -> Any:
        """The array namespace of the batch (``jax.numpy``, or torch's or numpy's compatible one)."""
        kind = type(self.chosen.total)
        if kind not in _NAMESPACES:
            _NAMESPACES[kind] = array_api_compat.array_namespace(self.chosen.total)
        return _NAMESPACES[kind]

    @property
    def reference(self) -> tuple[SequenceLogps, SequenceLogps]:
        """The reference policy's (chosen, rejected) log-probabilities.

        Raises:
            ValueError: If the batch has none.
        """
        if self.reference_chosen is None or self.reference_rejected is None:
            raise ValueError(
                "this objective needs reference log-probabilities, and the batch has none: "
                "declare `needs_reference = True` in its class"
            )
        return self.reference_chosen, self.reference_rejected
