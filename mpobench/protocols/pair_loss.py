"""Losses as functions of log-probabilities alone, for pictures and fits: each side of a pair is one step long.

A quantity per step is the same under either ``reduction`` then.
"""

from __future__ import annotations

from typing import Any

import array_api_compat

from mpobench.protocols.objective import Objective
from mpobench.protocols.preferences import PreferenceBatch, SequenceLogps


def pair_losses(
    objective: Objective,
    chosen: Any,
    rejected: Any,
    reference: tuple[float, float] | None = None,
    progress: Any = 0.0,
) -> Any:
    """The losses of the pairs of a batch.

    Args:
        objective: Loss.
        chosen: log π(τ_w), ``(pairs,)``, an array of any library; its dtype is that of the computation.
        rejected: log π(τ_l), likewise.
        reference: log π_ref of the two sides of all pairs; None for objectives without a reference.
        progress: Share of training that is done, in [0, 1].

    Returns:
        ``(pairs,)``.
    """
    xp = array_api_compat.array_namespace(chosen)

    def side(logp: Any) -> SequenceLogps:
        total = xp.broadcast_to(xp.asarray(logp, dtype=chosen.dtype), chosen.shape)
        return SequenceLogps(total, xp.ones_like(total))

    first, second = map(side, reference) if reference is not None else (None, None)
    return objective.loss(PreferenceBatch(side(chosen), side(rejected), first, second, progress))


def pair_loss(
    objective: Objective,
    chosen: Any,
    rejected: Any,
    reference: tuple[float, float] | None = None,
    progress: Any = 0.0,
) -> Any:
    """The loss of a pair in a batch of its own, which a library can differentiate.

    A loss that looks at other pairs (KTO's reference point, say) sees none.

    Args:
        objective: Loss.
        chosen: log π(τ_w), a 0-dimensional array of any library.
        rejected: log π(τ_l), likewise.
        reference: As of :func:`pair_losses`.
        progress: Likewise.

    Returns:
        A 0-dimensional array.
    """
    return pair_losses(objective, chosen[None], rejected[None], reference, progress)[0]
