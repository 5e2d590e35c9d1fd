"""Which fields a loss reads: some matter under other choices only, and to search them would be a waste."""

from __future__ import annotations

from typing import Any

import numpy as np

from mpobench.protocols import Objective, PreferenceBatch, SearchChoices, Searched, SequenceLogps

PAIRS = 64


def is_read(objective: Objective, name: str, search: Searched) -> bool:
    """Whether a loss differs between the ends of a field's range and its value, on any of some random pairs.

    Args:
        objective: Objective with the choices that it will be trained with.
        name: Name of the field.
        search: Its range or choices.

    Returns:
        True also where the loss cannot be computed, so that its training says why.
    """
    batch = _pairs()
    values = search.choices if isinstance(search, SearchChoices) else (search.low, search.high)
    try:
        with np.errstate(all="ignore"):
            losses = [
                np.asarray(objective.model_copy(update={name: value}).loss(batch))
                for value in (getattr(objective, name), *values)
            ]
    except Exception:  # noqa: BLE001  # a plugin's own
        return True
    return any(not np.array_equal(losses[0], other) for other in losses[1:])


def _pairs() -> PreferenceBatch:
    """Pairs of sequences of unlike lengths and of all margins."""
    rng = np.random.default_rng(0)

    def side(like: SequenceLogps | None = None) -> SequenceLogps:
        length: Any = rng.integers(20, 100, PAIRS).astype(float) if like is None else like.length
        return SequenceLogps(-rng.uniform(0.05, 3.0, PAIRS) * length, length)

    chosen, rejected = side(), side()
    progress: Any = np.linspace(0.05, 0.95, PAIRS)
    return PreferenceBatch(chosen, rejected, side(chosen), side(rejected), progress=progress)
