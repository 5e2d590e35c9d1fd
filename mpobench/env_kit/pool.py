"""The pool of a dataset's episodes or answers: blocks that every corruption picks its pairs from."""

from __future__ import annotations

from dataclasses import dataclass

from mpobench.env_kit.pair_labels import draw_sources
from mpobench.protocols import DatasetCorruption


@dataclass(frozen=True)
class PoolBlock:
    """A block of the pool: consecutive rows of one side, all by one agent.

    Attributes:
        agent: :data:`~mpobench.ORIGINAL` or :data:`~mpobench.TARGET`.
        draw: Side of the pairs, 0 or 1. An agent that generates both sides draws twice.
        first: Number of the first row.
        count: Number of rows.
    """

    agent: int
    draw: int
    first: int
    count: int


def pool_blocks(corruption: DatasetCorruption, pairs: int, size: int, seed: int) -> list[PoolBlock]:
    """The blocks that a dataset picks from: all rows of each (side, agent) that occurs.

    Rows count from the dataset's first pair. Whether datasets of several seeds share files is for the environment to
    say.

    Args:
        corruption: Corruption of the pairs.
        pairs: Number of pairs.
        size: Number of rows in a block.
        seed: Seed of the dataset.
    """
    sources = draw_sources(corruption, pairs, seed)
    return [
        PoolBlock(agent, side, first, min(size, pairs - first))
        for side in (0, 1)
        for agent in sorted(set(sources[:, side].tolist()))
        for first in range(0, pairs, size)
    ]
