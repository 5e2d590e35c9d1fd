"""Errors that a user can act upon. The command line prints them as one line, without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError


class MpobenchError(Exception):
    """Any failure that the user, not the developer, has to mend."""


class RequestError(MpobenchError):
    """The request itself cannot be carried out (exit code 2): a bad name, value, file or folder."""


class PluginError(RequestError):
    """A plugin that the request needs is broken, or two plugins claim the same name."""


class SpecError(RequestError):
    """A malformed spec string, or one with an unknown name or field."""


class DivergedError(MpobenchError):
    """Training left the finite numbers; the cell is recorded as *diverged*, with this reason."""


class DiskFullError(RequestError):
    """The disk is full. It ends a run, and no cell is blamed for it."""


class LauncherLostError(MpobenchError):
    """The place of a run's workers is lost; finished cells are kept, and the same command goes on from there."""


@contextmanager
def needed(component: str, install: str) -> Iterator[None]:
    """The imports of a component's packages, which not everybody has.

    Args:
        component: Component in words: ``the launcher 'dask'``.
        install: Argument of ``pip install`` that brings them.

    Raises:
        RequestError: If one of them is missing.
    """
    try:
        yield
    except ImportError as error:
        raise RequestError(f"{component} needs the package {error.name}: pip install {install}") from error


def one_line(error: BaseException) -> str:
    """An exception's type and message in one line of at most 300 characters."""
    if isinstance(error, ValidationError):
        return f"invalid {error.title}: {'; '.join(problems(error))}"[:300]
    text = " ".join(str(error).split())
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:300]


def problems(error: ValidationError) -> list[str]:
    """The problems of a validation, a line for each: ``task.gravity: Field required``."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(map(str, problem["loc"]))
        lines.append(f"{where}: {problem['msg']}" if where else problem["msg"])
    return lines
