"""Rows that fill up the batches of several processes, and count for nothing.

accelerate gives every process equally many batches of equal size. Left to itself it would repeat the first rows of an
epoch, which would then count twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from mpobench_llm.models.tokens import Row

_INDEX = -1
"""Number of a row that is none of the dataset's."""


def padded(rows: Sequence[Row], batch: int, processes: int) -> list[Row]:
    """Rows, and behind them as many that do not count as the batches of several processes need.

    Args:
        rows: Rows.
        batch: Number of rows in a batch of one process.
        processes: Number of processes; one needs none.
    """
    missing = -len(rows) % (batch * processes) if processes > 1 else 0
    return [*rows, *[replace(min(rows, key=len), index=_INDEX)] * missing]


def counted(
    lengths: torch.Tensor, indices: torch.Tensor, totals: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What belongs to rows that count: lengths ``(pairs, sides)``, numbers ``(pairs,)``, log-probabilities."""
    kept = (indices != _INDEX).nonzero()[:, 0]
    return lengths[kept], indices[kept], totals[kept]


def count(indices: torch.Tensor) -> int:
    """Number of rows of a batch that count."""
    return int((indices != _INDEX).sum())
