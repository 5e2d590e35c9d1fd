"""The loss of the SFT stage."""

from __future__ import annotations

from typing import Any

from mpobench import Objective, PreferenceBatch


class Cloning(Objective):
    """−log π of the chosen completion, per token. It reads nothing else, so nothing else is computed."""

    def loss(self, batch: PreferenceBatch) -> Any:
        """The losses, ``(pairs,)``."""
        return -batch.chosen.mean
