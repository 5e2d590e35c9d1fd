"""The launchers that the core brings."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench.registry.cards import LauncherCard
from mpobench.registry.hookspecs import hookimpl


@hookimpl
def mpobench_launchers() -> Iterable[LauncherCard]:
    """Worker processes on this machine."""
    yield LauncherCard(
        name="local", summary="Worker processes on this machine", target="mpobench.running.local:Local"
    )
