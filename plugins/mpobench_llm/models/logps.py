"""Log-probabilities of completions, with logits only at the positions that are needed.

In a small language model the head, with its 49 thousand words, costs a quarter of all layers. It is computed only where
a completion's token is predicted, a chunk of positions at a time, and its gradient in the same pass: the derivative of
log p(y) with respect to the hidden state is W_y − Σ_v p(v) W_v, up to a scalar that comes from the loss. So logits are
neither kept for the backward pass nor computed again in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from mpobench import RequestError
from mpobench_llm.models.batch import Batch, collate
from mpobench_llm.models.tokens import Row

CHUNK = 512
"""Number of positions whose logits are in memory at once."""


class _TokenLogps(torch.autograd.Function):
    """log p(target) at each position, for a frozen linear head."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        wanted = ctx.needs_input_grad[0]
        logps, slopes = [], []
        for at in range(0, len(hidden), CHUNK):
            logits = (hidden[at : at + CHUNK] @ head.T).float()
            target = targets[at : at + CHUNK]
            chosen = logits.gather(1, target[:, None])
            normaliser = logits.logsumexp(1, keepdim=True)
            logps.append((chosen - normaliser)[:, 0])
            if wanted:
                probabilities = logits.sub_(normaliser).exp_().to(head.dtype)
                slopes.append(head[target] - probabilities @ head)
        if wanted:
            ctx.save_for_backward(torch.cat(slopes))
        return torch.cat(logps)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return (gradients[0][:, None] * slopes).to(slopes.dtype), None, None


def token_logps(hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Log-probability of a token at each position.

    Args:
        hidden: Output of the last layer, normalised, ``(positions, width)``.
        head: Frozen weights of the head, ``(vocabulary, width)``.
        targets: Tokens, ``(positions,)``.

    Returns:
        Log-probabilities in nats, ``(positions,)``, float32.
    """
    apply: Any = _TokenLogps.apply  # untyped in torch
    logps: torch.Tensor = apply(hidden.to(head.dtype), head, targets)
    return logps


@contextmanager
def headless(model: Any) -> Iterator[torch.Tensor]:
    """Makes a causal language model return the states below its head as its ``logits``; yields the head's weights.

    The head is removed, not bypassed, so that peft and data parallelism, which wrap the model, are called as usual.

    Raises:
        RequestError: For a head that is more than a matrix.
    """
    head = model.get_output_embeddings()
    config = model.config
    extras = [
        name
        for name in ("final_logit_softcapping", "logit_scale", "logits_scaling")
        if getattr(config, name, None) not in (None, 1, 1.0)
    ]
    if extras or not isinstance(head, torch.nn.Linear) or getattr(head, "bias", None) is not None:
        problem = extras[0] if extras else f"a {type(head).__name__} with a bias or of its own kind"
        raise RequestError(
            f"{config.model_type} models have {problem} at their head, which is not supported: choose another model"
        )
    model.set_output_embeddings(torch.nn.Identity())
    try:
        yield head.weight
    finally:
        model.set_output_embeddings(head)


def sequence_logps(model: Any, head: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Log π of every completion of a batch, summed over its tokens.

    Args:
        model: Model without its head.
        head: Weights of the head.
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
    head: torch.Tensor,
    rows: Sequence[Row],
    batch: int,
    report: Callable[[float], None] = lambda fraction: None,
) -> torch.Tensor:
    """Log π of all completions of all rows.

    Args:
        model: Model without its head.
        head: Weights of the head.
        rows: Rows with equally many completions.
        batch: Number of rows in memory at once.
        report: Function of the fraction that is done.

    Returns:
        Log-probabilities in nats, ``(rows, sides)``, float32 on the CPU.
    """
    model.eval()
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    logps = torch.empty(len(rows), len(rows[0].completions))
    half = head.dtype == torch.bfloat16
    for first in range(0, len(order), batch):
        numbers = order[first : first + batch]
        collated = collate([rows[row] for row in numbers], head.dtype).to(model.device)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=half):
            logps[numbers] = sequence_logps(model, head, collated).cpu()
        report((first + len(numbers)) / len(order))
    return logps
