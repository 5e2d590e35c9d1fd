"""From a corruption to labelled pairs (Figure 1 of the paper), in every environment with a true return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpobench.protocols import DatasetCorruption


@dataclass(frozen=True)
class Labels:
    """The preferred side of each pair.

    Attributes:
        sources: ``(pairs, 2)``, the agent that generated each side.
        chosen: ``(pairs,)``, the preferred side, 0 or 1.
        flipped: Share of labels that the corruption swapped.
        correct: Share of pairs whose chosen side has the higher true return.
    """

    sources: NDArray[np.int8]
    chosen: NDArray[np.int8]
    flipped: float
    correct: float


def draw_sources(corruption: DatasetCorruption, pairs: int, seed: int) -> NDArray[np.int8]:
    """The agent that generates each side of each pair, ``(pairs, 2)``; cheap, so that planning can ask."""
    return corruption.sources(pairs, np.random.default_rng([seed, 0]))


def draw_flips(corruption: DatasetCorruption, pairs: int, seed: int) -> NDArray[np.bool_]:
    """The labels that are swapped, ``(pairs,)``."""
    return corruption.flip(pairs, np.random.default_rng([seed, 2]))


def label(
    corruption: DatasetCorruption, sources: NDArray[np.int8], returns: NDArray[np.float64], seed: int
) -> Labels:
    """Lets the judge choose, then the corruption swap.

    Args:
        corruption: Corruption that decides.
        sources: ``(pairs, 2)``.
        returns: ``(pairs, 2)``, true returns of the two sides.
        seed: Seed of the data; every decision draws from a stream of its own, so that for one seed
            ``noisy:0.3`` corrupts the very pairs that ``base`` labels.
    """
    pairs = len(returns)
    first_wins = np.random.default_rng([seed, 1]).random(pairs) < corruption.preference(returns)
    flips = draw_flips(corruption, pairs, seed)
    chosen = np.where(first_wins ^ flips, 0, 1).astype(np.int8)
    rows = np.arange(pairs)
    better = returns[rows, chosen] >= returns[rows, 1 - chosen]
    return Labels(sources, chosen, float(flips.mean()), float(better.mean()))
