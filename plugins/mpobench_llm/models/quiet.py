"""Silence for transformers and peft, whose messages would disturb the program's own display."""

from __future__ import annotations

import functools
import warnings


@functools.cache
def silence_libraries() -> None:
    """Turns off progress bars and warnings of future changes. Errors stay."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    for library in ("transformers", "peft"):
        for kind in (FutureWarning, RuntimeWarning, UserWarning):
            warnings.filterwarnings("ignore", category=kind, module=library)
