"""Comparison of ways to compute the same: the precision in which that is done, and what counts as the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

TOLERANCE = 1e-4
"""Largest error of a token's log-probability in single precision, in nats."""

HALF_TOLERANCE = 0.1
"""Largest median error of a token's log-probability in half precision, in nats. A median, because a rounded router may
send a token to other experts."""

LARGEST_COPY = 1_000_000_000
"""Number of parameters up to which a model in half precision is compared in single precision."""


def base_of(model: Any) -> Any:
    """The model without the adapter that may be around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def model_name(model: Any) -> str:
    """The name of a model for the user: its place, and its family."""
    place = model.config.name_or_path
    return f"{place} ({model.config.model_type})" if place else f"this model ({model.config.model_type})"


@contextmanager
def in_single_precision(model: Any) -> Iterator[bool]:
    """A model in evaluation mode and float32 for a while, if it is not too large. It comes back bit by bit.

    Products are in float32, too, where the caller has asked for others: what is found must not depend on who asks.

    Yields:
        Whether it is in float32.
    """
    training = [module for module in model.modules() if module.training]
    tensors = [*model.parameters(), *model.buffers()]
    half = [tensor for tensor in tensors if tensor.dtype in (torch.bfloat16, torch.float16)]
    exact = not half or sum(tensor.numel() for tensor in tensors) <= LARGEST_COPY
    kept = [(tensor, tensor.data) for tensor in half] if exact else []
    try:
        model.eval()
        for tensor, data in kept:
            tensor.data = data.float()
        with torch.autocast(tensors[0].device.type, enabled=False) if exact else nullcontext():
            yield exact
    finally:
        for tensor, data in kept:
            tensor.data = data
        for module in training:
            module.training = True
