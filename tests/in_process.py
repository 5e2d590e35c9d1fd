"""The program in this process: a command costs what it does, not the second that a new interpreter needs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest import mock

from typer.testing import CliRunner

from mpobench import Launcher, LauncherCard, Workers, hookimpl
from mpobench.cli import app
from mpobench.protocols import Listener
from mpobench.registry.registry import Registry, get_registry


class InTurn(Launcher):
    """Tasks run in a thread of this process, one after the other, whatever the number of workers that it states."""

    @contextmanager
    def open(self, workers: int | None, report: Listener) -> Iterator[Workers]:
        with ThreadPoolExecutor(1) as executor:
            yield Workers(executor, lambda: workers or 1)


@hookimpl
def mpobench_launchers() -> Iterator[LauncherCard]:
    yield LauncherCard(name="in-turn", summary="A thread of this process", target="in_process:InTurn")


def invoke(*args: str) -> subprocess.CompletedProcess[str]:
    """Runs the program with arguments; an error that the program does not handle is raised.

    Returns:
        The outcome in the form of a process of its own.
    """
    result = CliRunner().invoke(app, args, prog_name="mpobench")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(args, result.exit_code, result.stdout, result.stderr)


@contextmanager
def installed(registry: Registry) -> Iterator[None]:
    """Lets :func:`get_registry` return a registry, and the one before at the end."""
    before = get_registry()
    _remember(registry)
    try:
        yield
    finally:
        _remember(before)


def _remember(registry: Registry) -> None:
    with mock.patch.object(Registry, "load", return_value=registry):
        get_registry.cache_clear()
        get_registry()
