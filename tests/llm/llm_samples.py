"""Random rows, and log-probabilities the long way round: one sequence at a time, all logits, double precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mpobench_llm.models.base_model import ModelSource, load_base
from mpobench_llm.models.tokens import Row

WORDS = 250
"""Fewer than any vocabulary in the tests."""


def random_rows(count: int, seed: int = 0, sides: int = 2, longest: int = 9) -> list[Row]:
    """Rows of random tokens and lengths."""
    rng = np.random.default_rng(seed)

    def some() -> tuple[int, ...]:
        return tuple(rng.integers(3, WORDS, rng.integers(1, longest + 1)).tolist())

    return [Row(some(), tuple(some() for _ in range(sides)), index) for index in range(count)]


def tiny_base(folder: Path) -> tuple[Any, Any]:
    """The tiny model and its tokenizer, as the plugin loads them."""
    return load_base(ModelSource(str(folder), "tiny", "float32"))


def plain_logps(model: Any, prompt: Sequence[int], completion: Sequence[int]) -> torch.Tensor:
    """Σ log π of a completion by a model that has its head: a scalar, float64, with a gradient."""
    ids = torch.tensor([[*prompt, *completion]])
    logps = model(input_ids=ids).logits[0].double().log_softmax(-1)
    begin = len(prompt)
    return torch.stack([logps[begin - 1 + step, token] for step, token in enumerate(completion)]).sum()


def all_plain_logps(model: Any, rows: Sequence[Row]) -> torch.Tensor:
    """``(rows, sides)``, float64."""
    return torch.stack(
        [torch.stack([plain_logps(model, row.prompt, side) for side in row.completions]) for row in rows]
    )
