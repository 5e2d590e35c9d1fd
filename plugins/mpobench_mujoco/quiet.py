"""Silence for the import of brax."""

from __future__ import annotations

import contextlib
import io


def quiet_imports() -> contextlib.redirect_stdout[io.StringIO]:
    """A context in which brax is imported: mujoco-mjx prints that optional engines are missing."""
    return contextlib.redirect_stdout(io.StringIO())
