"""Versions of the libraries that compute an environment's results."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, version

from mpobench.protocols import Env


def library_versions(env: Env) -> dict[str, str]:
    """Versions of mpobench and of the libraries that an environment names, where they are installed."""
    versions = {name: _version(name) for name in ("mpobench", *env.libraries)}
    return {name: version for name, version in versions.items() if version is not None}


@functools.cache
def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
