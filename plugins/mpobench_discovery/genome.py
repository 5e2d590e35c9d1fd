"""The genome of a search: the arrays of an objective that it changes, and the way from arrays to an objective."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from mpobench import Objective, RequestError, Tensors
from mpobench.errors import one_line
from mpobench.protocols import HasNetworks, LearnableFunction, Searchable
from mpobench.registry.build import Defaults
from mpobench.registry.registry import get_registry
from mpobench_discovery.settings import FAMILY

Numbers: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Arrays by field and part of the objective, ``{"g_network": {"bias": (9, 14), ...}, ...}``; a pytree."""

LARGEST = 80.0
"""Largest logarithm of a coefficient: e⁸⁰ is finite in single precision."""


@dataclass(frozen=True)
class Genome:
    """An objective some of whose networks are searched.

    The numbers that a search draws and moves are unconstrained; :meth:`decoded` gives the objective's. Arrays that make
    a function increasing (``non_negative`` ones) enter as max(0, ·), so that a useless unit can be left
    so far below 0 that no member activates it. Of their single coefficients, those that are not 0 at the start are
    searched as logarithms: the size of a term counts in factors, and a term that is gone for good would take all others
    of its function with it.

    Attributes:
        family: Name under which the objective's class is registered.
        start: Objective at the beginning.
        fields: Fields that are learned, each of them ``Tensors``.
    """

    family: str
    start: Objective
    fields: tuple[str, ...]

    def encoded(self, sigma: float) -> Numbers:
        """The start as the mean of a search.

        A number that is held at 0 begins one ``sigma`` below, and still counts as 0. From 0 itself, half of a
        population would activate any of some hundred units, which makes every member much worse than the start.
        """
        import numpy as np

        def free(field: str, part: str, array: Any) -> Any:
            if self._is_factor(field, part):
                return np.log(array)
            held = self._is_held(field, part)
            return np.where(array == 0, np.float32(-sigma), array) if held else array

        return _mapped(free, {field: getattr(self.start, field) for field in self.fields})

    def decoded(self, numbers: Numbers) -> Numbers:
        """The arrays of the objective that a search's numbers stand for."""
        import numpy as np

        def meant(field: str, part: str, array: Any) -> Any:
            if self._is_factor(field, part):
                return np.exp(np.minimum(array, np.float32(LARGEST)))
            return np.maximum(array, np.float32(0)) if self._is_held(field, part) else array

        return _mapped(meant, numbers)

    def objective(self, decoded: Numbers) -> Objective:
        """The start with other numbers in its learned fields."""
        return with_numbers(self.start, decoded)

    def _is_held(self, field: str, part: str) -> bool:
        return part in functions_of(self.start)[field].non_negative

    def _is_factor(self, field: str, part: str) -> bool:
        first = getattr(self.start, field)[part]
        return self._is_held(field, part) and first.ndim == 0 and bool(first > 0)


def with_numbers(objective: Objective, decoded: Numbers) -> Objective:
    """An objective with other numbers in some of its fields."""
    return objective.model_copy(update={field: Tensors(parts) for field, parts in decoded.items()})


def functions_of(objective: Objective) -> dict[str, LearnableFunction]:
    """The functions that an objective declares to be learnable, by the fields of their weights."""
    functions = objective.learnable_functions() if isinstance(objective, Searchable) else ()
    return {function.field: function for function in functions}


def _mapped(change: Callable[[str, str, Any], Any], numbers: Numbers) -> Numbers:
    return {
        field: {part: change(field, part, array) for part, array in parts.items()}
        for field, parts in numbers.items()
    }


def find_genome(
    family: str | None, learn: tuple[str, ...], start: str | None, defaults: Defaults | None = None
) -> Genome:
    """The genome that a command line asks for.

    Args:
        family: Name of a registered :class:`~mpobench.protocols.Searchable`; None for the family of ``start``.
        learn: Functions to learn, ``phi`` for the field ``phi_network``; none means all networks of the start.
        start: Objective file, or spec of a :class:`~mpobench.protocols.HasNetworks`; without one, the family's own
            start, with closed forms of functions that are not learned.
        defaults: Defaults of fields that the start leaves out, an environment's or tuned ones.

    Raises:
        RequestError: For a family without functions to learn, a function that it does not have, or a start that is
            no objective of the family.
    """
    family, objective = _family_start(family) if start is None else _stated_start(family, start, defaults)
    functions = functions_of(objective)
    networks = {
        functions[name].name: name
        for name, value in objective
        if name in functions and isinstance(value, Tensors)
    }
    if not networks:
        if not functions and any(isinstance(value, Tensors) for _, value in objective):
            raise RequestError(
                f"the class of {start or family} declares no functions to learn (mpobench.protocols.Searchable)"
            )
        raise RequestError(f"{start} has no networks, and so nothing to learn: leave --start out")
    for function in learn:
        if function not in networks:
            raise RequestError(
                f"{start or family} has no network for {function!r}: learn {', '.join(networks)}"
            )
    fields = tuple(name for function, name in networks.items() if not learn or function in learn)
    if start is None:
        closed = dict.fromkeys(name for name in networks.values() if name not in fields)
        objective = objective.model_copy(update=closed)
    return Genome(family, objective, fields)


def _family_start(family: str | None) -> tuple[str, Objective]:
    registry, family = get_registry(), family or FAMILY
    model = registry.resolve("objective", family)
    file = registry.file(registry.find("objective", family))
    if file is not None:
        raise RequestError(f"objective {family!r} is an objective file: begin with it, --start {file.path}")
    if not issubclass(model, Searchable):
        able = [name for name, other in _models().items() if issubclass(other, Searchable)]
        raise RequestError(f"objective {family!r} has no functions to learn: choose one of {', '.join(able)}")
    return family, model.start()


def _stated_start(family: str | None, start: str, defaults: Defaults | None) -> tuple[str, Objective]:
    is_file = start.endswith(".json")
    built = get_registry().build(
        "objective", str(Path(start).absolute()) if is_file else start, defaults or {}
    )
    objective = built.component if is_file or built.file else _as_networks(start, built.component)
    name = (built.base or built.registered).card.name if objective is built.component else _name_of(objective)
    if family not in (None, name):
        raise RequestError(f"{start} is a {name!r}, not a {family!r}: leave --family out")
    return name, objective


def _as_networks(start: str, objective: Objective) -> Objective:
    """An objective that was written by hand, as networks."""
    if not isinstance(objective, HasNetworks):
        able = [name for name, model in _models().items() if issubclass(model, HasNetworks)]
        raise RequestError(
            f"--start {start}: it cannot be written as networks; begin with an objective file (.json), or with one of "
            f"{', '.join(able)}"
        )
    try:
        return objective.as_networks()
    except ValueError as error:
        raise RequestError(f"--start {start} has no form as networks: {one_line(error)}") from error


def _name_of(objective: Objective) -> str:
    return next(name for name, model in _models().items() if model is type(objective))


def _models() -> dict[str, type[Objective]]:
    """Registered classes by name, without those of objective files; broken ones are left out."""
    registry = get_registry()
    models: dict[str, type[Objective]] = {}
    for registered in registry.cards("objective"):
        with contextlib.suppress(RequestError):
            if registry.file(registered) is None:
                model: Any = registry.resolve("objective", registered.card.name)
                models[registered.card.name] = model
    return models
