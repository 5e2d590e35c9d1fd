"""Guarded loading of plugins: whatever one of them does, the others work and its error is kept.

pluggy has two traps that call for a loader of our own. ``load_setuptools_entrypoints`` skips in silence an
entry point whose name is already taken, and does not guard ``EntryPoint.load``. So each plugin gets a manager
to itself: names cannot clash, and every failure is known by its culprit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pluggy

from mpobench.errors import one_line
from mpobench.registry import hookspecs
from mpobench.registry.cards import (
    Card,
    CommandCard,
    CorruptionCard,
    EnvCard,
    EvaluatorCard,
    LauncherCard,
    ObjectiveCard,
    TrackerCard,
)
from mpobench.registry.installed import GROUP, Plugin
from mpobench.registry.suggestions import suggest

HOOKS: dict[str, type[Card]] = {
    "mpobench_envs": EnvCard,
    "mpobench_corruptions": CorruptionCard,
    "mpobench_objectives": ObjectiveCard,
    "mpobench_evaluators": EvaluatorCard,
    "mpobench_launchers": LauncherCard,
    "mpobench_trackers": TrackerCard,
    "mpobench_commands": CommandCard,
}


@dataclass(frozen=True)
class Registered:
    """A component, and the distribution that offers it."""

    card: Card
    distribution: str
    version: str

    @property
    def source(self) -> str:
        """``mpobench-example 0.1.0``."""
        return f"{self.distribution} {self.version}"

    @property
    def file(self) -> Path | None:
        """The objective file that its card names; None for a component that is a class."""
        return self.card.file if isinstance(self.card, ObjectiveCard) else None


@dataclass(frozen=True)
class Broken:
    """A plugin, or a part of one, that cannot be used, and why, in one line."""

    entry_point: str
    distribution: str
    version: str
    error: str

    def __str__(self) -> str:
        return f"{self.entry_point} ({self.distribution} {self.version}): {self.error}"


def load(plugin: Plugin) -> list[Registered | Broken]:
    """Imports a plugin and calls its hooks; never raises, but for a KeyboardInterrupt."""

    def broken(error: str) -> Broken:
        return Broken(plugin.entry_point, plugin.distribution, plugin.version, error)

    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    try:
        module = plugin.load()
        manager.register(module, plugin.entry_point)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # a plugin may raise anything, SystemExit included
        return [broken(one_line(error))]
    found: list[Registered | Broken] = [broken(complaint) for complaint in _misspelt(manager, module)]
    for hook, card_type in HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            try:
                for card in implementation.function():
                    if not isinstance(card, card_type):
                        raise TypeError(f"yields a {type(card).__name__}, not a {card_type.__name__}")
                    found.append(Registered(card, plugin.distribution, plugin.version))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001  # as above
                found.append(broken(f"hook {hook} failed: {one_line(error)}"))
    return found


def _misspelt(manager: pluggy.PluginManager, module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        if manager.parse_hookimpl_opts(module, name) is not None:
            if name not in HOOKS:
                yield f"there is no hook {name!r}: {suggest(name, HOOKS)}"
        elif name.startswith("mpobench_") and getattr(value, "__module__", None) == module.__name__:
            yield f"{name!r} looks like a hook but is not marked with @hookimpl"
