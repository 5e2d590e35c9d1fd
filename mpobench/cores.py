"""The cores of this machine that the process may use."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Number of cores that the process may use; where the system does not tell (macOS), all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
