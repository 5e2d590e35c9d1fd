"""Heads of causal language models, computed only at the positions that are needed.

In a small language model the head, with its 49 thousand words, costs a quarter of all layers. It is computed only where
a completion's token is predicted, a chunk of positions at a time, and its gradient in the same pass: the derivative of
log p(y) with respect to the hidden state is W_y − Σ_v p(v) W_v, up to a scalar that comes from the loss. So logits are
neither kept for the backward pass nor computed again in it. Where logits z are capped at c, as c·tanh(z/c), W_v is
weighed by the cap's slope at z_v.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from mpobench import RequestError
from mpobench.errors import one_line
from mpobench_llm.models.exactness import TOLERANCE, in_single_precision, model_name

CHUNK = 512
"""Number of positions whose logits are in memory at once."""

CAP = "final_logit_softcapping"
"""transformers' name for the largest magnitude of logits."""


@dataclass(frozen=True)
class Head:
    """A frozen head.

    A scale of the logits (Cohere, Granite) is none of its business: a model without its head scales the states.

    Attributes:
        weight: Weights, ``(vocabulary, width)``.
        bias: Bias, ``(vocabulary,)``, or None.
        cap: Largest magnitude of the logits, or None.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None = None
    cap: float | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.weight.dtype

    def single(self) -> Head:
        """The same in float32."""
        return Head(self.weight.float(), None if self.bias is None else self.bias.float(), self.cap)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of states, ``(positions, vocabulary)``, float32."""
        logits = hidden @ self.weight.T
        if self.bias is not None:
            logits = logits + self.bias
        logits = logits.float()
        return logits if self.cap is None else self.cap * torch.tanh(logits / self.cap)


class _TokenLogps(torch.autograd.Function):
    """log p(target) at each position."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, head: Head, targets: torch.Tensor) -> torch.Tensor:
        wanted = ctx.needs_input_grad[0]
        logps, slopes = [], []
        for at in range(0, len(hidden), CHUNK):
            logits = head.logits(hidden[at : at + CHUNK])
            target = targets[at : at + CHUNK, None]
            chosen = logits.gather(1, target)
            normaliser = logits.logsumexp(1, keepdim=True)
            logps.append((chosen - normaliser)[:, 0])
            if not wanted:
                continue
            if head.cap is None:
                probabilities = logits.sub_(normaliser).exp_().to(head.dtype)
                slopes.append(head.weight[target[:, 0]] - probabilities @ head.weight)
            else:
                weighed = (logits - normaliser).exp_().neg_()
                weighed.scatter_add_(1, target, torch.ones_like(chosen))
                weighed *= 1 - (logits / head.cap).square_()
                slopes.append(weighed.to(head.dtype) @ head.weight)
        if wanted:
            ctx.save_for_backward(torch.cat(slopes))
        return torch.cat(logps)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return (gradients[0][:, None] * slopes).to(slopes.dtype), None, None


def token_logps(hidden: torch.Tensor, head: Head, targets: torch.Tensor) -> torch.Tensor:
    """Log-probability of a token at each position.

    Args:
        hidden: Output of the last layer, normalised, ``(positions, width)``.
        head: Head.
        targets: Tokens, ``(positions,)``.

    Returns:
        Log-probabilities in nats, ``(positions,)``, float32.
    """
    apply: Any = _TokenLogps.apply  # untyped in torch
    logps: torch.Tensor = apply(hidden.to(head.dtype), head, targets)
    return logps


@contextmanager
def headless(model: Any) -> Iterator[Head]:
    """Makes a causal language model return the states below its head as its ``logits``; yields the head.

    The head is removed, not bypassed, so that peft and data parallelism, which wrap the model, are called as usual.

    Raises:
        RequestError: If states and head do not have the model's own logits. It is checked once for each model.
    """
    _check(model)
    with _removed(model) as head:
        yield head


class _NoHead(torch.nn.Module):
    """The identity in a head's place, with the weights that some families look at."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        self._of = (head,)  # a tuple, so that it is no part of the model

    @property
    def head(self) -> Any:
        """The head."""
        return self._of[0]

    @property
    def weight(self) -> torch.Tensor:
        """Weights of the head, ``(vocabulary, width)``."""
        weight: torch.Tensor = self._of[0].weight
        return weight

    @property
    def bias(self) -> torch.Tensor | None:
        """Bias of the head, ``(vocabulary,)``, or None."""
        return getattr(self._of[0], "bias", None)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """The states themselves."""
        return hidden


@contextmanager
def _removed(model: Any) -> Iterator[Head]:
    module = model.get_output_embeddings()
    values = vars(model.config.get_text_config())  # not by attribute: some accept no None
    cap = values.get(CAP)
    model.set_output_embeddings(_NoHead(module))
    if cap is not None:
        values[CAP] = None
    try:
        yield Head(module.weight, getattr(module, "bias", None), cap)
    finally:
        model.set_output_embeddings(module)
        if cap is not None:
            values[CAP] = cap


@contextmanager
def head_restored(model: Any, head: Head) -> Iterator[None]:
    """Gives a model its head back for a while, inside of :func:`headless`.

    Args:
        model: Model without its head, with no adapter around it.
        head: What :func:`headless` yields.
    """
    removed, values = model.get_output_embeddings(), vars(model.config.get_text_config())
    model.set_output_embeddings(removed.head)
    if head.cap is not None:
        values[CAP] = head.cap
    try:
        yield
    finally:
        model.set_output_embeddings(removed)
        if head.cap is not None:
            values[CAP] = None


_checked: weakref.WeakSet[Any] = weakref.WeakSet()


@torch.no_grad()
def _check(model: Any) -> None:
    """Compares states and head with the model's own logits."""
    if model in _checked:
        return
    words = model.config.get_text_config().vocab_size
    ids = torch.randint(words, (1, 8), generator=torch.Generator().manual_seed(0)).to(model.device)
    problem = "a head of its own kind"
    with in_single_precision(model) as exact:
        try:
            expected = model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1)
            with _removed(model) as head:
                states = model(input_ids=ids, use_cache=False).logits[0]
                found = head.logits(states.to(head.dtype)).log_softmax(-1)
            wrong = (found - expected).abs().max()
            right = bool(wrong <= TOLERANCE) or (not exact and bool(wrong <= 1))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # a head of another kind fails in any way
            right, problem = False, f"{problem} ({one_line(error)})"
    if not right:
        raise RequestError(
            f"{model_name(model)} has {problem}, so its log-probabilities cannot be computed: choose another model"
        )
    _checked.add(model)
