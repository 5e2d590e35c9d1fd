"""Curves of a training: sums over the pairs of a batch, means over the pairs of an epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mpobench import PreferenceBatch, SequenceLogps

QUANTITIES = ("loss", "margin", "accuracy", "logp_chosen", "logp_rejected")
"""Names of the curves. Log-probabilities are means over tokens, in nats."""

RATIOS = ("log_ratio_chosen", "log_ratio_rejected", "chosen_fell")
"""Names of the curves relative to the reference policy: log π/π_ref of each side, a mean over tokens, in nats, and the
share of pairs whose chosen side is less probable than under it."""

KL = "kl"
"""Name of the curve of KL(π ‖ π_ref) on the policy's own answers at the end of each epoch, in nats a token."""


@torch.no_grad()
def batch_sums(
    pairs: PreferenceBatch,
    losses: torch.Tensor,
    references: tuple[SequenceLogps, SequenceLogps] | None,
    sides: int,
) -> dict[str, float]:
    """The number of pairs of a batch, and the sum of each of :data:`QUANTITIES` and :data:`RATIOS` over them.

    Args:
        pairs: Log-probabilities.
        losses: Losses, ``(pairs,)``.
        references: Log-probabilities of (chosen, rejected) under the reference policy; None leaves out the ratios.
        sides: Number of completions of a row. One, as in an SFT stage, leaves out all that asks for a rejected one.
    """
    values = {"loss": losses, "logp_chosen": pairs.chosen.mean}
    if sides > 1:
        margin = pairs.chosen.mean - pairs.rejected.mean
        values |= {"margin": margin, "accuracy": margin > 0, "logp_rejected": pairs.rejected.mean}
    if references is not None:
        chosen = pairs.chosen.mean - references[0].mean
        rejected = pairs.rejected.mean - references[1].mean
        values |= dict(zip(RATIOS, (chosen, rejected, chosen < 0), strict=True))
    sums = torch.stack([value.detach().float().sum() for value in values.values()]).tolist()
    return {"pairs": float(len(losses)), **dict(zip(values, sums, strict=True))}


def epoch_means(history: Sequence[Mapping[str, Any]], epochs: int) -> dict[str, list[float]]:
    """One list per quantity that was measured, one entry per epoch.

    Args:
        history: Entries of the trainer's log. Those with ``pairs`` are sums over an update, with its ``epoch``; those
            with :data:`KL` have its value at the end of their ``epoch``.
        epochs: Number of epochs.
    """
    measured = {name for entry in history for name in entry}
    means = [name for name in (*QUANTITIES, *RATIOS) if name in measured]
    curves: dict[str, list[float]] = {name: [] for name in means}
    for epoch in range(1, epochs + 1):
        updates = [entry for entry in history if entry.get("epoch") == epoch and "pairs" in entry]
        pairs = sum(entry["pairs"] for entry in updates)
        for name in means:
            curves[name].append(sum(entry[name] for entry in updates) / pairs)
    if KL in measured:
        at_end = {entry["epoch"]: entry[KL] for entry in history if KL in entry}
        curves[KL] = [at_end.get(epoch, math.nan) for epoch in range(1, epochs + 1)]
    return curves
