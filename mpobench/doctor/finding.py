"""The outcome of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["ok", "note", "broken"]
"""Works; works, but something is to be known; does not work."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        level: How serious it is.
        what: What was looked at: ``jax``.
        found: What was found.
        advice: What to do, or empty.
    """

    level: Level
    what: str
    found: str
    advice: str = ""
