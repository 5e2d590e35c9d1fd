"""Versions of the libraries that compute an environment's results."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from mpobench.protocols import Env


def library_versions(env: Env) -> dict[str, str]:
    """Versions of mpobench and of the libraries that an environment names, where they are installed."""
    versions = {}
    for name in ("mpobench", *env.libraries):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
