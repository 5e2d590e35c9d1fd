"""From names to components: found among the plugins, imported on first use, built from specs."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, overload

from mpobench.errors import PluginError, SpecError, one_line
from mpobench.protocols import (
    Component,
    DatasetCorruption,
    Env,
    Evaluator,
    Launcher,
    Objective,
    Tracker,
)
from mpobench.registry.build import Configured, Defaults, ResolvedName, added, blamed, configured, culprit
from mpobench.registry.cards import EnvCard, Kind
from mpobench.registry.installed import Plugin, installed_plugins
from mpobench.registry.loading import Broken, Registered, load
from mpobench.registry.objective_files import (
    ObjectiveFile,
    ObjectiveFileCard,
    ObjectiveFileError,
    read_objective_card,
    read_objective_file,
)
from mpobench.registry.specs import Spec, is_file, parse, split_sum
from mpobench.registry.suggestions import suggest

PROTOCOLS: dict[str, type[Component]] = {
    "env": Env,
    "corruption": DatasetCorruption,
    "objective": Objective,
    "evaluator": Evaluator,
    "launcher": Launcher,
    "tracker": Tracker,
}
"""Base class of the target of each kind of card; commands are typer apps."""


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
        broken: Plugins that could not be loaded, or parts of them.
        conflicts: Names that several plugins claim. Only requests that use such a name fail.
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
            SpecError: If there is none, with a suggestion.
            PluginError: If several plugins claim the name.
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

    def default_env(self) -> str:
        """Name of the environment of a run that names none.

        Raises:
            PluginError: If no card says that it is the default, or several do.
        """
        names = [
            claim.card.name
            for claim in self.cards("env")
            if isinstance(claim.card, EnvCard) and claim.card.default
        ]
        if len(names) != 1:
            which = " and ".join(map(repr, names)) if names else "none"
            raise PluginError(f"of the installed environments, {which} is the default: name one with --envs")
        return names[0]

    def resolve(self, kind: Kind, name: str) -> type[Component]:
        """Imports the class of a component; of an objective that is a file, the class whose fields that gives.

        Raises:
            SpecError: If the name is unknown.
            PluginError: If it cannot be imported or is not what its card says.
        """
        registered = self.find(kind, name)
        return _model(registered, self.base(registered))

    def base(self, registered: Registered) -> Registered:
        """The component whose class it has: itself, but for an objective that is a file.

        Raises:
            PluginError: If its file cannot be used.
        """
        if registered.file is None:
            return registered
        with blamed(registered):
            return self._of_class(registered.file, read_objective_card(registered.file))

    def file(self, registered: Registered) -> ObjectiveFile | None:
        """The objective file that a plugin registered; None for a component that is a class.

        Raises:
            PluginError: If its file cannot be read.
        """
        if registered.file is None:
            return None
        with blamed(registered):
            return read_objective_file(registered.file)

    def without_tensors(self, name: str) -> Objective:
        """A registered objective without the tensors of its file: how it trains, for those who compute nothing.

        Raises:
            SpecError: If the name is unknown.
            PluginError: If the objective's plugin is broken.
        """
        named = self._by_name("objective", name, tensors=False)
        objective: Objective = configured(name, Spec(name), named, {}).component
        return objective

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
    @overload
    def build(self, kind: Literal["tracker"], text: str, defaults: Defaults = ...) -> Configured[Tracker]: ...

    def build(self, kind: Kind, text: str, defaults: Defaults | None = None) -> Configured[Any]:
        """Builds a component from its spec.

        Args:
            kind: Kind of component. Corruptions may be sums: ``mixed+noisy:0.1``.
            text: Spec.
            defaults: Values below the explicit ones (an environment's, for an objective).

        Raises:
            SpecError: For a malformed spec, an unknown name or field, or a value that is not allowed.
            ObjectiveFileError: If the spec names an objective file, and something is wrong with it.
            PluginError: If the component's plugin is broken.
        """
        parts = split_sum(text)
        if len(parts) == 1:
            return self._build_part(kind, text, defaults or {})
        if kind != "corruption":
            raise SpecError(f"{text!r} adds {kind}s: only corruptions have sums")
        built = [self._build_part(kind, part, defaults or {}) for part in parts]
        return added(built)

    def _build_part(self, kind: Kind, text: str, defaults: Defaults) -> Configured[Any]:
        spec = parse(text)
        by_path = kind == "objective" and is_file(spec.name)
        named = self._by_path(spec.name) if by_path else self._by_name(kind, spec.name)
        return configured(text, spec, named, defaults)

    def _by_name(self, kind: Kind, name: str, tensors: bool = True) -> ResolvedName:
        registered = self.find(kind, name)
        base = self.base(registered)
        model = _model(registered, base)
        if registered.file is None:
            return ResolvedName(registered, base, model)
        with blamed(registered):
            if tensors:
                file = read_objective_file(registered.file)
            else:
                card = read_objective_card(registered.file)
                file = ObjectiveFile(registered.file, card, card.fields)
        return ResolvedName(registered, base, model, file)

    def _by_path(self, path: str) -> ResolvedName:
        """An objective file whose names are in order: it has one of its own, and is of a known objective.

        A file that a plugin registered under the name that it has is that objective, wherever the copy lies.
        """
        file = read_objective_file(Path(path))
        base = self._of_class(file.path, file.card)
        claims = self._claims.get("objective", {}).get(file.card.name, ())
        if any(self._ships(claim, file) for claim in claims):
            return self._by_name("objective", file.card.name)
        if claims:
            raise ObjectiveFileError(
                f"{file} is named {file.card.name!r}, like an objective of {claims[0].source}: "
                "give it a name of its own in the file"
            )
        return ResolvedName(base, base, _model(base, base), file)

    def _of_class(self, path: Path, card: ObjectiveFileCard) -> Registered:
        """The objective whose fields a file gives.

        Raises:
            ObjectiveFileError: If there is none of that name, or it is a file itself.
        """
        label = f"objective file {path}"
        try:
            found = self.find("objective", card.objective)
        except SpecError as error:
            raise ObjectiveFileError(f"{label}: {error}") from error
        if found.file is not None:
            raise ObjectiveFileError(
                f"{label} gives the fields of {card.objective!r}, which is an objective file itself: "
                "name the objective whose class it has"
            )
        return found

    def _ships(self, claim: Registered, file: ObjectiveFile) -> bool:
        try:
            theirs = self.file(claim)
        except PluginError:
            return False
        return (
            theirs is not None
            and theirs.card.objective == file.card.objective
            and theirs.values == file.values
        )


def import_target(registered: Registered) -> object:
    """Imports what a card points at.

    Raises:
        PluginError: Naming the plugin, its version and what went wrong.
    """
    module_name, _, attribute = registered.card.target.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(culprit(registered) + f"cannot be imported: {one_line(error)}") from error


def _model(registered: Registered, base: Registered) -> type[Component]:
    """The class of a component, which is the one that ``base`` has."""
    target = import_target(base)
    protocol = PROTOCOLS[base.card.kind]
    if not (isinstance(target, type) and issubclass(target, protocol)):
        raise PluginError(culprit(base) + f"is not a subclass of mpobench.{protocol.__name__}")
    if inspect.isabstract(target):
        missing = ", ".join(sorted(target.__abstractmethods__))
        raise PluginError(culprit(base) + f"does not implement {missing}")
    positional = registered.card.positional
    if positional is not None and positional not in target.model_fields:
        raise PluginError(culprit(registered) + f"has no field {positional!r}, which its card names")
    return target


@functools.cache
def get_registry() -> Registry:
    """The registry of all installed plugins, loaded once."""
    return Registry.load()
