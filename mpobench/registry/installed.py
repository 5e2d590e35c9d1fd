"""Plugins of the installed distributions, found without importing them."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

GROUP = "mpobench"
"""Group of the entry points that name plugins."""


@dataclass(frozen=True)
class Plugin:
    """A plugin before it is imported.

    Attributes:
        entry_point: Name in the ``mpobench`` group.
        distribution: Name of the package that it comes from, as ``pip`` has it.
        version: Version of the distribution.
        load: Function that imports it.
    """

    entry_point: str
    distribution: str
    version: str
    load: Callable[[], ModuleType]


def installed_plugins() -> list[Plugin]:
    """The plugins of every installed distribution, sorted by distribution and entry point."""
    plugins: dict[str, list[Plugin]] = {}
    for distribution in importlib.metadata.distributions():
        # Names and versions are costly to read (0.1 s for all distributions): look at entry points first.
        if f"[{GROUP}]" not in (distribution.read_text("entry_points.txt") or ""):
            continue
        name, version = _header(distribution, "Name"), _header(distribution, "Version")
        # The first of two copies on the path is the one that an import would find.
        plugins.setdefault(
            re.sub(r"[-_.]+", "-", name).lower(),
            [
                Plugin(entry_point.name, name, version, entry_point.load)
                for entry_point in distribution.entry_points
                if entry_point.group == GROUP
            ],
        )
    return [
        plugin
        for name in sorted(plugins)
        for plugin in sorted(plugins[name], key=lambda plugin: plugin.entry_point)
    ]


def _header(distribution: importlib.metadata.Distribution, field: str) -> str:
    """A field of a distribution's metadata. The parser of the standard library takes milliseconds for each."""
    headers = (distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or "").partition(
        "\n\n"
    )[0]
    match = re.search(rf"^{field}:[ \t]*(\S+)", headers, re.MULTILINE | re.IGNORECASE)
    return match[1] if match else "unknown"
