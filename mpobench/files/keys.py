"""Content keys: equal work has equal keys, whatever order or machine it was asked on.

Keys are chained: dataset → training → evaluation. Each names everything that decides a result, and nothing
that does not: devices, workers, paths and package versions stay out.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from mpobench.errors import PluginError
from mpobench.values import without_negative_zero

KEY_VERSION = 1
"""Raised when the meaning of keys changes, so that old results are not taken for new ones."""

# One encoder for all calls: a plan of 100,000 cells makes as many keys.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def content_key(content: Any) -> str:
    """24 hexadecimal digits of the SHA-256 of a value's canonical JSON (sorted keys, no spaces, no NaN).

    Raises:
        PluginError: If the value is not JSON: a plugin's config holds an array, say.
    """
    try:
        text = _canonical(content)
        if "-0.0" in text:
            text = _canonical(without_negative_zero(content))
    except (TypeError, ValueError) as error:
        raise PluginError(f"a configuration is not plain JSON ({error}): {content!r:.200}") from error
    return hashlib.sha256(text.encode()).hexdigest()[:24]
