"""The checks of everything that a plugin offers."""

from __future__ import annotations

import re
import time
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from mpobench.errors import MpobenchError, RequestError, one_line
from mpobench.registry.cards import Kind
from mpobench.registry.loading import Registered
from mpobench.registry.registry import Registry, import_target
from mpobench.testing.corruptions import check_corruption
from mpobench.testing.envs import check_env
from mpobench.testing.evaluators import check_evaluator
from mpobench.testing.launchers import check_launcher
from mpobench.testing.objectives import check_objective
from mpobench.testing.subjects import Subject, subject


@dataclass(frozen=True)
class Checked:
    """A component that was checked.

    Attributes:
        label: ``objective my-loss``.
        failure: The promise that is not kept, in one sentence; None if all are.
        notes: What was not checked, and why.
        seconds: Time that the check took.
    """

    label: str
    failure: str | None
    notes: tuple[str, ...]
    seconds: float


def offered_by(package: str, registry: Registry) -> list[Registered]:
    """The components of a plugin.

    Args:
        package: Name of a distribution, as ``mpobench plugins`` lists it, or the folder of its ``pyproject.toml``.
        registry: Installed components.

    Raises:
        RequestError: If it is not installed, or broken.
    """
    name = _distribution(package)
    broken = [each for each in registry.broken if _same(each.distribution, name)]
    if broken:
        raise RequestError(f"{broken[0]}: mend that first, then check again")
    found = [
        each for kind in get_args(Kind) for each in registry.cards(kind) if _same(each.distribution, name)
    ]
    if not found:
        hint = f"pip install -e {package}" if Path(package).is_dir() else "see 'mpobench plugins'"
        raise RequestError(f"no plugin named {name!r} is installed: {hint}")
    return found


def check_plugin(components: list[Registered], registry: Registry) -> Iterator[Checked]:
    """Checks components one after the other.

    Args:
        components: Components of :func:`offered_by`.
        registry: Installed components.
    """
    for registered in components:
        began = time.perf_counter()
        failure: str | None = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                notes = _check(registered, registry)
            except AssertionError as error:
                failure, notes = str(error), []
            except MpobenchError as error:
                failure, notes = one_line(error), []
        said = [str(each.message) for each in caught if issubclass(each.category, UserWarning)]
        label = f"{registered.card.kind} {registered.card.name}"
        yield Checked(label, failure, tuple(dict.fromkeys([*notes, *said])), time.perf_counter() - began)


def _check(registered: Registered, registry: Registry) -> list[str]:
    """Checks one component; returns what was not checked.

    Raises:
        AssertionError: With the first promise that is not kept.
    """
    name, kind = registered.card.name, registered.card.kind
    if kind == "objective":
        check_objective(name, registry=registry)
    elif kind == "corruption":
        check_corruption(name, registry=registry)
    elif kind == "env":
        check_env(name, registry=registry)
    elif kind == "launcher":
        check_launcher(name, registry=registry)
    elif kind == "tracker":
        subject("tracker", name, registry)
        return ["what it shows was not checked: it may be on another machine"]
    elif kind == "command":
        import_target(registered)
    elif (env := _env_for(registered, registry)) is None:
        return ["no installed environment fits it, so that only its listing was checked"]
    else:
        check_evaluator(name, env, registry=registry)
    return []


def _env_for(registered: Registered, registry: Registry) -> str | None:
    """An environment that an evaluator fits, one of the same plugin if there is one."""
    evaluator: Any = subject("evaluator", registered.card.name, registry).component
    envs = sorted(registry.cards("env"), key=lambda env: not _same(env.distribution, registered.distribution))
    for env in envs:
        try:
            built: Subject[Any] = subject("env", env.card.name, registry)
        except AssertionError:  # it cannot be built from its name
            continue
        if evaluator.skip_reason(built.component) is None:
            return built.spec
    return None


def _distribution(package: str) -> str:
    folder = Path(package)
    if not folder.is_dir():
        return package
    file = folder / "pyproject.toml"
    try:
        name = tomllib.loads(file.read_text("utf-8"))["project"]["name"]
    except (OSError, ValueError, KeyError) as error:
        raise RequestError(f"{file} does not name a project: {one_line(error)}") from error
    return str(name)


def _same(first: str, second: str) -> bool:
    """Whether two names are of one distribution: pip takes runs of '-', '_' and '.' for the same (PEP 503)."""
    return re.sub(r"[-_.]+", "-", first).lower() == re.sub(r"[-_.]+", "-", second).lower()
