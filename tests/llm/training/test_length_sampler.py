"""The order of pairs: by length within an update, by chance between updates."""

from __future__ import annotations

import pytest
import torch

from mpobench_llm.training.length_sampler import ShuffledByLength

LENGTHS = torch.randint(1, 99, (50,), generator=torch.Generator().manual_seed(0)).tolist()


def epoch_of(seed: int, epoch: int) -> list[int]:
    sampler = ShuffledByLength(LENGTHS, 8, seed)
    sampler.set_epoch(epoch)
    assert len(sampler) == len(LENGTHS)
    return list(sampler)


def test_orders():
    order = epoch_of(0, 0)
    assert sorted(order) == list(range(50))
    for at in range(0, 50, 8):
        lengths = [LENGTHS[row] for row in order[at : at + 8]]
        assert lengths == sorted(lengths)
    assert [LENGTHS[row] for row in order] != sorted(LENGTHS), "updates mix all lengths"
    assert order == epoch_of(0, 0)
    assert len({tuple(epoch_of(seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16


def test_an_update_s_pairs_are_drawn_without_regard_to_length():
    """Over many epochs, the mean length of the first update is that of all rows."""
    means = [sum(LENGTHS[row] for row in epoch_of(1, epoch)[:8]) / 8 for epoch in range(200)]
    assert sum(means) / 200 == pytest.approx(sum(LENGTHS) / 50, rel=0.05)
