"""From names to components: found among the plugins, imported on first use, built from specs."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Literal, TypeAlias, TypeVar, overload

from pydantic import ValidationError

from mpobench.cards import Kind
from mpobench.composition import compose, decisions
from mpobench.errors import PluginError, SpecError
from mpobench.fields import no_such_field, validated
from mpobench.loading import Broken, Plugin, Registered, installed_plugins, load, one_line
from mpobench.objective_files import ObjectiveFile, ObjectiveFileError, read_objective_file
from mpobench.protocols import (
    Component,
    DatasetCorruption,
    Env,
    Evaluator,
    JsonObject,
    Launcher,
    Objective,
)
from mpobench.specs import canonical, is_file, parse, read_value, split_sum
from mpobench.suggestions import suggest

PROTOCOLS: dict[str, type[Component]] = {
    "env": Env,
    "corruption": DatasetCorruption,
    "objective": Objective,
    "evaluator": Evaluator,
    "launcher": Launcher,
}
"""What the target of each kind of card must be a subclass of (commands are typer apps)."""

Defaults: TypeAlias = Mapping[str, Any] | Callable[[str, frozenset[str]], Mapping[str, Any]]
"""Values that lie below the explicit ones, or a function of (component name, its field names) to them."""

C_co = TypeVar("C_co", bound=Component, covariant=True)


@dataclass(frozen=True)
class Configured(Generic[C_co]):
    """A component built from a spec.

    Attributes:
        registered: its card and where it comes from; the first part's for a sum.
        text: the canonical spec: what departs from the defaults, in one way of writing. For an objective file, its
            name and what was stated beside it: what tables show.
        component: ready to use.
        parts: what a sum is made of; empty for everything else.
        file: the objective file that gave its fields, if one did.
    """

    registered: Registered
    text: str
    component: C_co
    parts: tuple[Configured[C_co], ...] = ()
    file: ObjectiveFile | None = None

    @property
    def spec(self) -> str:
        """What builds it again, in any process on any folder: ``text``, with a file's path for its name."""
        if self.file is None:
            return self.text
        # Absolute, but with links as they are: a link's target may have another name, and no tensors beside it.
        return f"{self.file.path.absolute()}{self.text.removeprefix(self.file.card.name)}"

    @functools.cached_property
    def identity(self) -> JsonObject | list[JsonObject]:
        """What enters content keys: name, version of the behaviour, and every field; a list for a sum.

        Of tensors it is their digest. The name of an objective file is in, its path is not.
        """
        if self.parts:
            return [_identity(part) for part in self.parts]
        return _identity(self)


def _identity(configured: Configured[Component]) -> JsonObject:
    card = configured.registered.card
    fields = configured.component.model_dump(mode="json")
    identity: JsonObject = {"name": card.name, "version": card.version, "fields": fields}
    return identity if configured.file is None else {**identity, "file": configured.file.card.name}


@dataclass(frozen=True)
class Conflict:
    """One name that several plugins claim."""

    kind: str
    name: str
    claims: tuple[Registered, ...]

    def __str__(self) -> str:
        sources = " and ".join(claim.source for claim in self.claims)
        return f"{self.kind} {self.name!r} is claimed by {sources}: uninstall one of them"


class Registry:
    """Every component that the installed plugins offer.

    Attributes:
        broken: plugins that could not be loaded, or parts of them.
        conflicts: names that several plugins claim. Only requests that use such a name fail.
    """

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        found = [item for plugin in plugins for item in load(plugin)]
        self.broken = tuple(item for item in found if isinstance(item, Broken))
        self._claims: dict[str, dict[str, list[Registered]]] = defaultdict(lambda: defaultdict(list))
        for item in found:
            if isinstance(item, Registered):
                self._claims[item.card.kind][item.card.name].append(item)
        self.conflicts = tuple(
            Conflict(kind, name, tuple(claims))
            for kind, names in sorted(self._claims.items())
            for name, claims in sorted(names.items())
            if len(claims) > 1
        )

    @classmethod
    def load(cls) -> Registry:
        """The registry of all installed plugins."""
        return cls(installed_plugins())

    @classmethod
    def of_modules(cls, modules: Iterable[tuple[ModuleType, str, str]]) -> Registry:
        """A registry of plugin modules that need not be installed: (module, distribution, version)."""
        return cls(
            Plugin(
                module.__name__, name, version, functools.partial(importlib.import_module, module.__name__)
            )
            for module, name, version in modules
        )

    def cards(self, kind: Kind) -> list[Registered]:
        """All components of a kind, sorted by name, those in conflict included."""
        names = self._claims.get(kind, {})
        return [claim for name in sorted(names) for claim in names[name]]

    def find(self, kind: Kind, name: str) -> Registered:
        """The component of a name.

        Raises:
            SpecError: if there is none, with a suggestion.
            PluginError: if several plugins claim the name.
        """
        names = self._claims.get(kind, {})
        claims = names.get(name, [])
        if not claims:
            line = f"unknown {kind} {name!r}: {suggest(name, names)}"
            if self.broken:
                failed = len(self.broken)
                line += f" ({failed} plugin{'s' * (failed > 1)} failed to load: see 'mpobench plugins')"
            raise SpecError(line)
        if len(claims) > 1:
            raise PluginError(str(Conflict(kind, name, tuple(claims))))
        return claims[0]

    def resolve(self, kind: Kind, name: str) -> type[Component]:
        """Imports the class of a component.

        Raises:
            SpecError: if the name is unknown.
            PluginError: if it cannot be imported or is not what its card says.
        """
        registered = self.find(kind, name)
        target = import_target(registered)
        protocol = PROTOCOLS[kind]
        if not (isinstance(target, type) and issubclass(target, protocol)):
            raise PluginError(_culprit(registered) + f"is not a subclass of mpobench.{protocol.__name__}")
        if inspect.isabstract(target):
            missing = ", ".join(sorted(target.__abstractmethods__))
            raise PluginError(_culprit(registered) + f"does not implement {missing}")
        positional = registered.card.positional
        if positional is not None and positional not in target.model_fields:
            raise PluginError(_culprit(registered) + f"has no field {positional!r}, which its card names")
        return target

    @overload
    def build(self, kind: Literal["env"], text: str, defaults: Defaults = ...) -> Configured[Env]: ...
    @overload
    def build(
        self, kind: Literal["corruption"], text: str, defaults: Defaults = ...
    ) -> Configured[DatasetCorruption]: ...
    @overload
    def build(
        self, kind: Literal["objective"], text: str, defaults: Defaults = ...
    ) -> Configured[Objective]: ...
    @overload
    def build(
        self, kind: Literal["evaluator"], text: str, defaults: Defaults = ...
    ) -> Configured[Evaluator]: ...
    @overload
    def build(
        self, kind: Literal["launcher"], text: str, defaults: Defaults = ...
    ) -> Configured[Launcher]: ...

    def build(self, kind: Kind, text: str, defaults: Defaults | None = None) -> Configured[Any]:
        """Builds a component from its spec.

        Args:
            kind: of component. Corruptions may be sums: ``mixed+noisy:0.1``.
            text: the spec.
            defaults: what lies below the explicit values (an environment's, for an objective).

        Raises:
            SpecError: for a malformed spec, an unknown name or field, or a value that is not allowed.
            ObjectiveFileError: if the spec names an objective file, and something is wrong with it.
            PluginError: if the component's plugin is broken.
        """
        parts = split_sum(text)
        if len(parts) == 1:
            return self._build_part(kind, text, defaults or {})
        if kind != "corruption":
            raise SpecError(f"{text!r} adds {kind}s: only corruptions have sums")
        built = [self._build_part(kind, part, defaults or {}) for part in parts]
        return _sum(built)

    def _build_part(self, kind: Kind, text: str, defaults: Defaults) -> Configured[Any]:
        spec = parse(text)
        file = self._file(spec.name) if kind == "objective" and is_file(spec.name) else None
        label = f"{kind} {spec.name!r}" if file is None else str(file)
        name = spec.name if file is None else file.card.objective
        model = self.resolve(kind, name)
        registered = self.find(kind, name)
        explicit: dict[str, object] = {}
        for key, value in spec.args:
            field = registered.card.positional if key is None else key
            if field is None:
                raise SpecError(
                    f"{label}: {value!r} needs a key (fields: {', '.join(model.model_fields) or 'none'})"
                )
            if field in explicit:
                raise SpecError(f"{label}: {field!r} is given twice in {text!r}")
            if field not in model.model_fields:
                raise SpecError(f"{label}: {no_such_field(field, model.model_fields)}")
            explicit[field] = read_value(value)
        if callable(defaults):
            defaults = defaults(name, frozenset(model.model_fields))
        if file is not None:
            defaults = {**defaults, **file.values}
            validated(model, defaults, label, ObjectiveFileError)
        component = validated(model, {**defaults, **explicit}, label, SpecError)
        dumped = component.model_dump(mode="json")
        stated = {
            key: dumped[key] for key in explicit if _matters(model, key, explicit, defaults, dumped[key])
        }
        shown = canonical(spec.name if file is None else file.card.name, stated, registered.card.positional)
        return Configured(registered, shown, component, file=file)

    def _file(self, path: str) -> ObjectiveFile:
        """An objective file whose names are in order: it has one of its own, and is of a known objective."""
        file = read_objective_file(Path(path))
        try:
            self.find("objective", file.card.objective)
        except SpecError as error:
            raise ObjectiveFileError(f"{file}: {error}") from error
        for claim in self._claims.get("objective", {}).get(file.card.name, ()):
            raise ObjectiveFileError(
                f"{file} is named {file.card.name!r}, like an objective of {claim.source}: "
                "give it a name of its own in the file"
            )
        return file


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


def _sum(parts: list[Configured[DatasetCorruption]]) -> Configured[DatasetCorruption]:
    deciding = [part for part in parts if decisions(part.component)]
    if not deciding:
        return parts[0]
    deciding.sort(key=lambda part: part.text)
    component = compose([(part.text, part.component) for part in deciding])
    if len(deciding) == 1:
        return deciding[0]
    text = "+".join(part.text for part in deciding)
    return Configured(deciding[0].registered, text, component, tuple(deciding))


def import_target(registered: Registered) -> object:
    """Imports what a card points at.

    Raises:
        PluginError: naming the plugin, its version and what went wrong.
    """
    module_name, _, attribute = registered.card.target.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(_culprit(registered) + f"cannot be imported: {one_line(error)}") from error


def _culprit(registered: Registered) -> str:
    card = registered.card
    return f"{card.kind} {card.name!r} of {registered.source} ({card.target}) "


@functools.cache
def get_registry() -> Registry:
    """The registry of all installed plugins, loaded once."""
    return Registry.load()
