"""Errors that a user can act upon. The command line prints them as one line, without a traceback."""

from __future__ import annotations


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
