"""The clean dataset, against which the corrupted ones are compared."""

from __future__ import annotations

from mpobench import DatasetCorruption


class Base(DatasetCorruption):
    """One side from the original agent, one from the target agent, judged by their true returns.

    All three decisions are the defaults of :class:`~mpobench.DatasetCorruption`; returns differ by hundreds,
    so that its judge (Bradley-Terry at temperature 1) is nearly deterministic.

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, §4.1 (*base*).
    """
