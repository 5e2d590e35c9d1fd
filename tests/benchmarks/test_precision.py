"""The precision that ``auto`` takes, against the other one: products of a training's size, on one core."""

from __future__ import annotations

import time

import pytest
import torch

from mpobench_llm.models.base_model import device, has_bfloat16

TOKENS, WIDTH, INNER = 512, 576, 1536
"""Tokens of a batch, and the shape of a layer's weights in SmolLM2-135M."""


@pytest.mark.benchmark
@pytest.mark.skipif(device().type != "cpu", reason="times the CPU")
def test_auto_takes_the_faster_precision() -> None:
    seconds = {dtype: _best(dtype) for dtype in (torch.bfloat16, torch.float32)}
    for dtype, best in seconds.items():
        print(f"{dtype}: {2 * TOKENS * WIDTH * INNER / best / 1e9:.0f} GFLOP/s")
    assert has_bfloat16() == (seconds[torch.bfloat16] < seconds[torch.float32])


def _best(dtype: torch.dtype) -> float:
    """Least seconds of a product."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        inputs = torch.ones(TOKENS, WIDTH, dtype=dtype)
        weights = torch.ones(INNER, WIDTH, dtype=dtype)
        return min(_timed(inputs, weights) for _ in range(200))
    finally:
        torch.set_num_threads(threads)


def _timed(inputs: torch.Tensor, weights: torch.Tensor) -> float:
    began = time.perf_counter()
    torch.nn.functional.linear(inputs, weights)
    return time.perf_counter() - began
