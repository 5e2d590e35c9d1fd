"""Labels of pairs (Figure 1 of the paper): sources, the judge's choice, flips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpobench.protocols import DatasetCorruption


@dataclass(frozen=True)
class Labels:
    """The preferred side of each pair.

    Attributes:
        sources: Agent that generated each side, ``(pairs, 2)``.
        chosen: Preferred side, 0 or 1, ``(pairs,)``.
        flipped: Share of labels that the corruption swapped.
        correct: Share of pairs whose chosen side has the higher true return.
    """

    sources: NDArray[np.int8]
    chosen: NDArray[np.int8]
    flipped: float
    correct: float


def draw_sources(corruption: DatasetCorruption, pairs: int, seed: int) -> NDArray[np.int8]:
    """The agent that generates each side of each pair, ``(pairs, 2)``. Cheap, so that planning can ask."""
    return corruption.sources(pairs, np.random.default_rng([seed, 0]))


def draw_flips(corruption: DatasetCorruption, pairs: int, seed: int) -> NDArray[np.bool_]:
    """The labels that are swapped, ``(pairs,)``."""
    return corruption.flip(pairs, np.random.default_rng([seed, 2]))


def label(
    corruption: DatasetCorruption, sources: NDArray[np.int8], returns: NDArray[np.float64], seed: int
) -> Labels:
    """Labels of pairs: the judge chooses, then the corruption flips.

    Every decision draws from its own random stream, so that for one seed ``noisy:0.3`` corrupts the very pairs that
    ``base`` labels.

    Args:
        corruption: Corruption of the pairs.
        sources: Agent that generated each side, ``(pairs, 2)``.
        returns: True returns of the two sides, ``(pairs, 2)``.
        seed: Seed of the dataset.
    """
    pairs = len(returns)
    first_wins = np.random.default_rng([seed, 1]).random(pairs) < corruption.preference(returns)
    flips = draw_flips(corruption, pairs, seed)
    chosen = np.where(first_wins ^ flips, 0, 1).astype(np.int8)
    rows = np.arange(pairs)
    correct = returns[rows, chosen] >= returns[rows, 1 - chosen]
    return Labels(sources, chosen, float(flips.mean()), float(correct.mean()))
