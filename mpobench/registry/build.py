"""Build a component from a spec; its values override the defaults."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import ValidationError

from mpobench.errors import PluginError, SpecError
from mpobench.protocols import Component, DatasetCorruption, JsonObject, Origin
from mpobench.registry.cards import ObjectiveCard
from mpobench.registry.corruption_sum import compose, decisions
from mpobench.registry.fields import no_such_field, validated
from mpobench.registry.loading import Registered
from mpobench.registry.objective_files import ObjectiveFile, ObjectiveFileError
from mpobench.registry.specs import Spec, canonical, read_value

Defaults: TypeAlias = Mapping[str, Any] | Callable[[str, frozenset[str]], Mapping[str, Any]]
"""Values that lie below the explicit ones, or a function of (component name, its field names) to them."""

C_co = TypeVar("C_co", bound=Component, covariant=True)


@dataclass(frozen=True)
class Configured(Generic[C_co]):
    """A component built from a spec.

    Attributes:
        registered: Card and plugin; the first part's for a sum.
        text: Canonical spec: the fields that depart from the defaults, in one way of writing. Of an objective file, its
            name and what was stated beside it: what tables show.
        component: Component, ready to use.
        parts: Parts of a sum; empty for everything else.
        file: Objective file that the spec named by its path, if it did.
        base: Objective whose class a registered objective file has.
        stated: Fields whose values the spec states, or its objective file.
    """

    registered: Registered
    text: str
    component: C_co
    parts: tuple[Configured[C_co], ...] = ()
    file: ObjectiveFile | None = None
    base: Registered | None = None
    stated: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def origin(self) -> Origin:
        """Designer of an objective, as its file or card says."""
        if self.file is not None:
            return self.file.card.origin
        card = self.registered.card
        return card.origin if isinstance(card, ObjectiveCard) else "human"

    @functools.cached_property
    def identity(self) -> JsonObject | list[JsonObject]:
        """The part of a content key: name, version of the behaviour, and every field; a list for a sum.

        Of tensors it is their digest. The name of an objective file is in, its path is not; where a plugin ships the
        file, so are name and version of the class.
        """
        if self.parts:
            return [_identity(part) for part in self.parts]
        return _identity(self)


def _identity(configured: Configured[Component]) -> JsonObject:
    card = configured.registered.card
    component = configured.component
    fields = component.model_dump(mode="json", exclude=set(component.not_in_key))
    identity: JsonObject = {"name": card.name, "version": card.version, "fields": fields}
    if configured.file is not None:
        identity["file"] = configured.file.card.name
    if configured.base is not None:
        identity["base"] = {"name": configured.base.card.name, "version": configured.base.card.version}
    return identity


@dataclass(frozen=True)
class ResolvedName:
    """The component that the name in a spec stands for.

    Attributes:
        registered: Card; of a file that is named by its path, the card of its class.
        base: Card of its class, by whose name environments know it.
        model: Class.
        file: Objective file that gives its fields, if one does.
    """

    registered: Registered
    base: Registered
    model: type[Component]
    file: ObjectiveFile | None = None

    @property
    def by_path(self) -> ObjectiveFile | None:
        """The file, if it is not one that a plugin registered."""
        return self.file if self.registered is self.base else None

    @property
    def label(self) -> str:
        """The beginning of errors about its spec."""
        card = self.registered.card
        return f"{card.kind} {card.name!r}" if self.by_path is None else str(self.by_path)

    def with_defaults(self, defaults: Mapping[str, Any]) -> Mapping[str, Any]:
        """An environment's defaults with the file's values above them.

        Raises:
            ObjectiveFileError: If the class does not take them.
            PluginError: Likewise, for a file that a plugin registered.
        """
        if self.file is None:
            return defaults
        values = {**defaults, **self.file.values}
        with nullcontext() if self.by_path else blamed(self.registered):
            validated(self.model, values, str(self.file), ObjectiveFileError)
        return values


def configured(text: str, spec: Spec, named: ResolvedName, defaults: Defaults) -> Configured[Any]:
    """The component of a spec.

    Args:
        text: Text of the spec, for errors.
        spec: Parsed spec.
        named: Component that its name stands for.
        defaults: Values below its own.

    Raises:
        SpecError: For an unknown field, or a value that is not allowed.
        ObjectiveFileError: If its class does not take an objective file's values.
        PluginError: Likewise, for a file that a plugin registered.
    """
    registered, model, by_path = named.registered, named.model, named.by_path
    explicit = _explicit(text, spec, named)
    if callable(defaults):
        defaults = defaults(named.base.card.name, frozenset(model.model_fields))
    below = named.with_defaults(defaults)
    component = validated(model, {**below, **explicit}, named.label, SpecError)
    dumped = component.model_dump(mode="json")
    stated = {key: dumped[key] for key in explicit if _matters(model, key, explicit, below, dumped[key])}
    shown = canonical(
        registered.card.name if by_path is None else by_path.card.name, stated, registered.card.positional
    )
    base = None if registered is named.base else named.base
    given = explicit.keys() | (named.file.values.keys() if named.file else ())
    return Configured(registered, shown, component, file=by_path, base=base, stated=frozenset(given))


def _explicit(text: str, spec: Spec, named: ResolvedName) -> dict[str, object]:
    """The values that a spec states, by field."""
    explicit: dict[str, object] = {}
    known = named.model.model_fields
    for key, value in spec.args:
        field = named.registered.card.positional if key is None else key
        if field is None:
            raise SpecError(f"{named.label}: {value!r} needs a key (fields: {', '.join(known) or 'none'})")
        if field in explicit:
            raise SpecError(f"{named.label}: {field!r} is given twice in {text!r}")
        if field not in known:
            raise SpecError(f"{named.label}: {no_such_field(field, known)}")
        explicit[field] = read_value(value)
    return explicit


def _matters(
    model: type[Component],
    field: str,
    explicit: Mapping[str, Any],
    defaults: Mapping[str, Any],
    value: object,
) -> bool:
    """Whether an explicit value departs from what the field would be without it."""
    others = {key: other for key, other in explicit.items() if key != field}
    try:
        silent = model.model_validate({**defaults, **others})
    except ValidationError:
        return True
    unstated: object = silent.model_dump(mode="json")[field]
    return unstated != value


def added(parts: list[Configured[DatasetCorruption]]) -> Configured[DatasetCorruption]:
    """The sum of corruptions, in one order whatever the order of its parts.

    Raises:
        SpecError: If two of them decide the same.
    """
    deciding = [part for part in parts if decisions(part.component)]
    if not deciding:
        return parts[0]
    if len(deciding) == 1:
        return deciding[0]
    deciding.sort(key=lambda part: part.text)
    component = compose([(part.text, part.component) for part in deciding])
    text = "+".join(part.text for part in deciding)
    return Configured(deciding[0].registered, text, component, tuple(deciding))


def culprit(registered: Registered) -> str:
    """The component and its plugin, as errors begin."""
    card = registered.card
    return f"{card.kind} {card.name!r} of {registered.source} ({card.place}) "


@contextmanager
def blamed(registered: Registered) -> Iterator[None]:
    """Turns an error of an objective file into one that names the plugin that registered it."""
    try:
        yield
    except ObjectiveFileError as error:
        raise PluginError(culprit(registered) + f"cannot be used: {error}") from error
