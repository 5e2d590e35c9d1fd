"""Objectives that ``mpobench discover`` can learn: where a search begins, and the functions whose weights it moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from mpobench.protocols.objective import Objective

if TYPE_CHECKING:
    from mpobench.protocols.preferences import Array

NETWORK = "_network"
"""Suffix of fields with weights; what comes before it is the function's name on a command line."""


@dataclass(frozen=True)
class LearnableFunction:
    """A function of an objective with weights, which a search moves and its picture draws.

    Attributes:
        field: Field of the weights, ``Tensors | None``: ``h_network``. None stands for the function's closed form.
        symbol: Name of its values, for an axis; TeX between dollars.
        argument: Its argument: log π(τ) per step, a margin of two, or the share of the training that is done.
        values: Function of (objective, array namespace, arguments ``(points,)``) that returns its values ``(points,)``.
        shifted: Whether a constant changes nothing, so that it is drawn relative to its value in the middle.
        non_negative: Tensors of the weights that a search keeps at 0 or above: max(0, ·), and a coefficient as its
            logarithm.
    """

    field: str
    symbol: str
    argument: Literal["logp", "margin", "progress"]
    values: Callable[[Any, Any, Array], Array]
    shifted: bool = True
    non_negative: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the function on a command line: ``h``."""
        return self.field.removesuffix(NETWORK)


@runtime_checkable
class Searchable(Protocol):
    """A class of objectives with functions to learn."""

    @classmethod
    def start(cls) -> Objective:
        """The objective at which a search begins, with weights in all fields that it may learn."""

    @classmethod
    def learnable_functions(cls) -> Sequence[LearnableFunction]:
        """The functions that a search may learn, in the order in which they are drawn."""


@runtime_checkable
class HasNetworks(Protocol):
    """An objective in closed form that a search can begin with."""

    def as_networks(self) -> Objective:
        """The same loss as a :class:`Searchable` one.

        Raises:
            ValueError: If its options have no such form.
        """
