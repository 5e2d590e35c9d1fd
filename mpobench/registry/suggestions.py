"""'Did you mean …?': every unknown name in a request gets the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that most resembles ``word``, or None when none comes close."""
    matches = difflib.get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def suggest(word: str, known: Iterable[str]) -> str:
    """``did you mean 'dpo'?`` or, when nothing is near, ``known: base, mixed, noisy``."""
    names = sorted(known)
    match = nearest(word, names)
    if match:
        return f"did you mean {match!r}?"
    return f"known: {', '.join(names)}" if names else "none is known"
