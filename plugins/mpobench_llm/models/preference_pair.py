"""Preference pairs of text: a conversation, and two answers to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Message: TypeAlias = dict[str, str]
"""``role`` (``system``, ``user``, ``assistant``) and ``content``, as chat templates take them."""


@dataclass(frozen=True)
class PreferencePair:
    """One row of a preference dataset.

    Attributes:
        prompt: Messages so far; the last one is the user's.
        chosen: Text of the preferred answer.
        rejected: Text of the other answer.
    """

    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
