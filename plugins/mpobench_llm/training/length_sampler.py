"""The order of rows in an epoch: random updates, with rows of similar length side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch


class ShuffledByLength(torch.utils.data.Sampler[int]):
    """A new order each epoch, sorted by length within an update.

    The pairs of an update are drawn at random. Within the update, batches hold rows of similar length, so that little
    is padding.

    Args:
        lengths: Lengths of the rows, in tokens.
        update: Number of rows in an update.
        seed: Seed of the order.
        padding: Number of rows that come behind them in the dataset, and at the end of every epoch.
    """

    def __init__(self, lengths: Sequence[int], update: int, seed: int, padding: int = 0) -> None:
        self._lengths, self._update, self._seed, self._padding = lengths, update, seed, padding
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch. accelerate calls this, after a resume too."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths) + self._padding

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(1_000_003 * self._seed + self.epoch)
        order = torch.randperm(len(self._lengths), generator=generator).tolist()
        for first in range(0, len(order), self._update):
            yield from sorted(order[first : first + self._update], key=self._lengths.__getitem__)
        yield from range(len(order), len(self))
