"""Versions of the libraries that compute an environment's results."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, version

from mpobench.protocols import Env


def library_versions(env: Env) -> dict[str, str]:
    """Versions of mpobench and of the libraries that an environment names, where they are installed."""
    installed = {name: _version(name) for name in ("mpobench", *env.libraries)}
    return {name: found for name, found in installed.items() if found is not None}


@functools.cache
def _version(name: str) -> str | None:
    """Version of a distribution; read once, since that takes a millisecond."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
