"""Folders, plugins, launchers and the hub: whether what a run reaches for is there."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from mpobench.display.quantities import size_text
from mpobench.doctor.finding import Finding
from mpobench.errors import MpobenchError, one_line
from mpobench.files import locks
from mpobench.files.cache import cache_folder, check_cache, users
from mpobench.files.cleaning import entries
from mpobench.registry.registry import Registry
from mpobench.results.store import ResultStore

LITTLE = 2 * 10**9
"""Bytes of free space below which a run of the quick scale may fill the disk."""

_HUB = "https://huggingface.co"
_SECONDS = 3.0
_LAUNCHERS = "local", "dask"


def check_plugins(registry: Registry) -> Iterator[Finding]:
    """Plugins that do not load, and names that several claim."""
    for broken in registry.broken:
        yield Finding("broken", "plugin", str(broken), "update or uninstall it; see: mpobench plugins")
    for conflict in registry.conflicts:
        yield Finding("broken", "plugin", str(conflict))
    if not registry.broken and not registry.conflicts:
        kinds = ("env", "corruption", "objective", "evaluator", "launcher", "tracker")
        counts = ", ".join(f"{len(registry.cards(kind))} {kind}s" for kind in kinds)  # type: ignore[arg-type]
        yield Finding("ok", "plugins", counts)


def check_cache_folder() -> Iterator[Finding]:
    """The cache: whether it can be written and locked, its size, and the space that is left."""
    try:
        cache = cache_folder()
        check_cache(cache)
        with locks.lock(cache / ".doctor"):
            pass
        (cache / ".doctor.lock").unlink(missing_ok=True)
        size = sum(entry.size for entry in entries(cache))
        used = f", in use by {', '.join(busy)}" if (busy := users(cache)) else ""
    except (MpobenchError, OSError, NotImplementedError) as error:
        yield Finding(
            "broken", "cache", str(error), "set MPOBENCH_CACHE to a folder that can be written and locked"
        )
        return
    yield _space("cache", cache, f"{cache} has {size_text(size)}{used}", "mpobench clean removes what is old")


def check_results_folder(results: Path) -> Iterator[Finding]:
    """The results folder, or where it would be made."""
    place = results.absolute()
    try:
        if place.exists():
            store = ResultStore(place)
            store.check_writable()
            found = f"{place} has {len(store.keys())} cells"
        else:
            place = next(parent for parent in place.parents if parent.exists())
            if not os.access(place, os.W_OK | os.X_OK):
                raise PermissionError(f"{place} cannot be written")
            found = f"{results} does not exist yet, and can be made"
    except (MpobenchError, OSError) as error:
        yield Finding("broken", "results", str(error), "name a folder that can be written with --results")
        return
    yield _space("results", place, found, "keep results on a larger disk: --results")


def _space(what: str, place: Path, found: str, advice: str) -> Finding:
    free = shutil.disk_usage(place).free
    line = f"{found}; {size_text(free)} are free"
    return Finding("note", what, line, advice) if free < LITTLE else Finding("ok", what, line)


def check_launchers(registry: Registry) -> Iterator[Finding]:
    """The launchers of this machine: each starts a worker, which answers."""
    names = {registered.card.name for registered in registry.cards("launcher")}
    for name in _LAUNCHERS:
        if name not in names:
            continue
        try:
            launcher = registry.build("launcher", name).component
            with launcher.open(1, lambda *_: None) as workers:
                workers.executor.submit(os.getpid).result(timeout=60)
        except MpobenchError as error:
            level = "broken" if name == "local" else "note"
            yield Finding(level, f"launcher {name}", str(error))  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001  # a library of the launcher's
            yield Finding("broken", f"launcher {name}", f"a worker does not answer: {one_line(error)}")
        else:
            yield Finding("ok", f"launcher {name}", "a worker starts and answers")


def check_hub(seconds: float = _SECONDS) -> Iterator[Finding]:
    """Whether models and datasets of the hub can be had; most of mpobench runs without."""
    address = os.environ.get("HF_ENDPOINT") or _HUB
    token = "with" if os.environ.get("HF_TOKEN") else "without"
    without = "needed for hub models only: MuJoCo and smollm-style run offline, and so does what is in the hub's cache"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        yield Finding("ok", "hub", f"HF_HUB_OFFLINE is set; {without}")
        return
    try:
        request = urllib.request.Request(address, method="HEAD")
        with urllib.request.urlopen(request, timeout=seconds):
            pass
    except urllib.error.HTTPError:  # it answers
        pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        yield Finding("note", "hub", f"{address} does not answer ({reason}); {without}")
        return
    gated = "" if token == "with" else "; gated models want a token in HF_TOKEN"
    yield Finding("ok", "hub", f"{address} answers, {token} a token{gated}")
