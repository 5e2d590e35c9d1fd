"""Log-probabilities of completions, summed over their tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mpobench_llm.models.batch import Batch, collate
from mpobench_llm.models.head import Head, token_logps
from mpobench_llm.models.layouts import layout_for
from mpobench_llm.models.tokens import Row


def sequence_logps(model: Any, head: Head, batch: Batch) -> torch.Tensor:
    """Log π of every completion of a batch, summed over its tokens.

    Args:
        model: Model without its head.
        head: Its head.
        batch: Batch on the model's device.

    Returns:
        Log-probabilities in nats, ``(rows, sides)``, float32.
    """
    states = model(**batch.inputs, use_cache=False).logits
    logps = token_logps(states.flatten(0, 1)[batch.sources], head, batch.targets)
    sums = torch.zeros(batch.lengths.numel(), dtype=logps.dtype, device=logps.device)
    return sums.index_add(0, batch.owners, logps).view(batch.lengths.shape)


@torch.no_grad()
def all_logps(
    model: Any,
    head: Head,
    rows: Sequence[Row],
    batch: int,
    report: Callable[[float], None] = lambda fraction: None,
) -> torch.Tensor:
    """Log π of all completions of all rows.

    Args:
        model: Model without its head.
        head: Its head.
        rows: Rows with equally many completions.
        batch: Number of rows in memory at once.
        report: Function of the fraction that is done.

    Returns:
        Log-probabilities in nats, ``(rows, sides)``, float32 on the CPU.

    Raises:
        RequestError: If the model's log-probabilities cannot be right in any layout.
    """
    model.eval()
    layout = layout_for(model, head, rows)
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    logps = torch.empty(len(rows), len(rows[0].completions))
    half = head.dtype == torch.bfloat16
    for first in range(0, len(order), batch):
        numbers = order[first : first + batch]
        collated = collate([rows[row] for row in numbers], head.dtype, layout).to(model.device)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=half):
            logps[numbers] = sequence_logps(model, head, collated).cpu()
        report((first + len(numbers)) / len(order))
    return logps
