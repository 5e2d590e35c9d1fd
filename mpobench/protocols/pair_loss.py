"""The loss of a single pair, as a function of its log-probabilities: for pictures and fits of a loss."""

from __future__ import annotations

from typing import Any

import array_api_compat

from mpobench.protocols.objective import Objective
from mpobench.protocols.preferences import PreferenceBatch, SequenceLogps


def pair_loss(
    objective: Objective,
    chosen: Any,
    rejected: Any,
    reference: tuple[float, float] | None = None,
    progress: Any = 0.0,
) -> Any:
    """The loss of a pair in a batch of its own, which a library can differentiate.

    Each side is one step long, so that its log-probability is its own mean. A loss that looks at other pairs (KTO's
    reference point, say) sees none.

    Args:
        objective: Loss.
        chosen: log π(τ_w), a 0-dimensional array of any library; its dtype is that of the computation.
        rejected: log π(τ_l), likewise.
        reference: log π_ref of the two sides; None for objectives without a reference.
        progress: Share of training that is done, in [0, 1].

    Returns:
        A 0-dimensional array.
    """
    xp = array_api_compat.array_namespace(chosen)

    def side(logp: Any) -> SequenceLogps:
        total = xp.reshape(xp.asarray(logp, dtype=chosen.dtype), (1,))
        return SequenceLogps(total, xp.ones_like(total))

    first, second = map(side, reference) if reference is not None else (None, None)
    return objective.loss(PreferenceBatch(side(chosen), side(rejected), first, second, progress))[0]
