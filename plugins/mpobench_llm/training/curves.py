"""Curves of a training: sums over the pairs of a batch, means over the pairs of an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mpobench import PreferenceBatch

QUANTITIES = ("loss", "margin", "accuracy", "logp_chosen", "logp_rejected")
"""Names of the curves. Log-probabilities are means over tokens, in nats."""


@torch.no_grad()
def batch_sums(pairs: PreferenceBatch, losses: torch.Tensor) -> dict[str, float]:
    """The number of pairs of a batch, and the sum of each of :data:`QUANTITIES` over them."""
    margin = pairs.chosen.mean - pairs.rejected.mean
    values = (losses, margin, (margin > 0).float(), pairs.chosen.mean, pairs.rejected.mean)
    sums = torch.stack([value.detach().float().sum() for value in values]).tolist()
    return {"pairs": float(len(losses)), **dict(zip(QUANTITIES, sums, strict=True))}


def epoch_means(history: Sequence[Mapping[str, Any]], epochs: int) -> dict[str, list[float]]:
    """One list per quantity, one mean per epoch.

    Args:
        history: Entries of the trainer's log. Those with ``pairs`` are sums over an update, with its ``epoch``.
        epochs: Number of epochs.
    """
    curves: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    for epoch in range(1, epochs + 1):
        updates = [entry for entry in history if entry.get("epoch") == epoch and "pairs" in entry]
        pairs = sum(entry["pairs"] for entry in updates)
        for name in QUANTITIES:
            curves[name].append(sum(entry[name] for entry in updates) / pairs)
    return curves
