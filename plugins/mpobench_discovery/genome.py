"""Which numbers of an objective a search changes, and what objective some numbers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mpobench import Objective, RequestError, Tensors
from mpobench.registry import get_registry

Numbers: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Arrays by field and part of the objective, ``{"g_network": {"bias": (9, 14), ...}, ...}``; a pytree."""

NETWORK = "_network"
"""What the field of a learnable function is called, after the function."""


@dataclass(frozen=True)
class Genome:
    """An objective some of whose networks are searched.

    The numbers that a search draws and moves are free; :meth:`decoded` says what they mean. Arrays that make a function
    increasing (parts in the class's ``non_negative``) enter as max(0, ·), so that a unit that has become useless can be
    left so far below 0 that no member wakes it up. Of their single coefficients, those that are not 0 at the start are
    searched as logarithms: how much there is of a term counts in factors, and a term that is gone for good would take
    all others of its function with it.

    Attributes:
        family: name under which the objective's class is registered.
        start: the objective at the beginning.
        fields: of it that are learned, each of them ``Tensors``.
    """

    family: str
    start: Objective
    fields: tuple[str, ...]

    def encoded(self, sigma: float) -> Numbers:
        """The start as the mean of a search.

        What is held at 0 begins one ``sigma`` below, and still counts as 0: from 0 itself, half of a population would
        open each of some hundred units at once, which makes every member much worse than the start.
        """
        import numpy as np

        def free(field: str, part: str, array: Any) -> Any:
            if self._is_factor(field, part):
                return np.log(array)
            held = part in self._held
            return np.where(array == 0, np.float32(-sigma), array) if held else array

        return _mapped(free, {field: getattr(self.start, field) for field in self.fields})

    def decoded(self, numbers: Numbers) -> Numbers:
        """What the objective has where a search has these numbers."""
        import numpy as np

        def meant(field: str, part: str, array: Any) -> Any:
            if self._is_factor(field, part):
                return np.exp(array)
            return np.maximum(array, np.float32(0)) if part in self._held else array

        return _mapped(meant, numbers)

    def objective(self, decoded: Numbers) -> Objective:
        """The start with other numbers in its learned fields."""
        return self.start.model_copy(update={field: Tensors(parts) for field, parts in decoded.items()})

    @property
    def _held(self) -> tuple[str, ...]:
        return getattr(self.start, "non_negative", ())

    def _is_factor(self, field: str, part: str) -> bool:
        first = getattr(self.start, field)[part]
        return part in self._held and first.ndim == 0 and bool(first > 0)


def _mapped(change: Callable[[str, str, Any], Any], numbers: Numbers) -> Numbers:
    return {
        field: {part: change(field, part, array) for part, array in parts.items()}
        for field, parts in numbers.items()
    }


def genome(family: str | None, learn: tuple[str, ...], start: str | None) -> Genome:
    """What to search.

    Args:
        family: name of a registered objective with a ``start()``; None for that of the objective file.
        learn: functions, ``phi`` for the field ``phi_network``; none means all that the start has as networks.
        start: an objective file; without one the family's own start, where what is not learned has its closed form.

    Raises:
        RequestError: for a family without functions to learn, a function that it does not have, or a start that is
            no objective of the family.
    """
    registry = get_registry()
    if start is not None:
        built = registry.build("objective", start)
        name = built.registered.card.name
        if family not in (None, name):
            raise RequestError(f"{start} is a {name!r}, not a {family!r}: leave --family out")
        family, objective = name, built.component
    else:
        family = family or "1s-mpo"
        begin = getattr(registry.resolve("objective", family), "start", None)
        if begin is None:
            raise RequestError(f"objective {family!r} has no functions to learn: choose one of {_families()}")
        objective = begin()
    networks = tuple(name for name, value in objective if isinstance(value, Tensors))
    if not networks:
        raise RequestError(f"{start} has no networks, and so nothing to learn: leave --start out")
    known = [name.removesuffix(NETWORK) for name in networks]
    for function in learn:
        if function not in known:
            raise RequestError(f"{start or family} has no network for {function!r}: learn {', '.join(known)}")
    wanted = tuple(f"{function}{NETWORK}" for function in learn) or networks
    if start is None:
        objective = objective.model_copy(update={name: None for name in networks if name not in wanted})
    return Genome(family, objective, tuple(name for name in networks if name in wanted))


def _families() -> str:
    registry = get_registry()
    names = [registered.card.name for registered in registry.cards("objective")]
    return ", ".join(name for name in names if hasattr(registry.resolve("objective", name), "start"))
