"""Sampling of completions in batches: each depends on its prompt and its own random stream alone.

transformers' ``generate`` draws one exponential number per word of the vocabulary and row, which on a CPU takes as long
as the model itself, and keeps rows that have ended. Here one uniform number per row is looked up in the cumulated
probabilities, and rows leave the batch when they end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from mpobench_llm.generation.decoders import decoder_for


@torch.inference_mode()
def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    streams: Sequence[Sequence[int]],
    *,
    ends: Collection[int],
    max_tokens: int,
    temperature: float,
    batch: int,
    positions: int | None = None,
    report: Callable[[float], None] = lambda fraction: None,
) -> list[list[int]]:
    """Samples one completion of each prompt.

    Args:
        model: Causal language model of transformers, in evaluation mode.
        prompts: Token ids of the prompts.
        streams: Seed of each completion's random numbers.
        ends: Ids of the tokens that end a completion.
        max_tokens: Largest number of tokens; a completion that reaches it may have no end.
        temperature: Divisor of the logits; 0 takes the most probable token.
        batch: Number of completions sampled at once.
        positions: Largest number of tokens of a prompt with its completion; None if the model has no limit.
        report: Function of the fraction that is done.

    Returns:
        Token ids of each completion, including its end token if it has one.
    """
    completions: list[list[int]] = [[] for _ in prompts]
    by_length = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    for first in range(0, len(by_length), batch):
        rows = by_length[first : first + batch]
        draws = np.stack([np.random.default_rng(streams[row]).random(max_tokens) for row in rows])
        steps = _sample_batch(model, [prompts[row] for row in rows], draws, ends, temperature, positions)
        for step, (alive, tokens) in enumerate(steps):
            for position, token in zip(alive, tokens, strict=True):
                completions[rows[position]].append(token)
            report((first + len(rows) * (step + 1) / max_tokens) / len(prompts))
    report(1.0)
    return completions


def _sample_batch(
    model: Any,
    prompts: list[Sequence[int]],
    draws: np.ndarray[Any, Any],
    ends: Collection[int],
    temperature: float,
    limit: int | None,
) -> Iterator[tuple[list[int], list[int]]]:
    """Yields for each step the rows that have not ended, and the next token of each."""
    alive, lengths = np.arange(len(prompts)), np.array([len(prompt) for prompt in prompts])
    stops = torch.tensor(sorted(ends), device=model.device)
    decoder = decoder_for(model)(model, prompts)
    for step in range(draws.shape[1]):
        uniform = torch.tensor(draws[alive, step], dtype=torch.float32, device=model.device)
        tokens = choose(decoder.logits(), uniform, temperature)
        yield alive.tolist(), tokens.tolist()
        unfinished = ~torch.isin(tokens, stops)
        if limit is not None:
            unfinished &= torch.tensor(lengths[alive] + step + 1 < limit, device=model.device)
        kept = unfinished.nonzero()[:, 0]
        if not len(kept):
            return
        alive = alive[kept.cpu().numpy()]
        decoder.append(tokens, kept)


def choose(logits: torch.Tensor, uniform: torch.Tensor, temperature: float) -> torch.Tensor:
    """Draws one token per row by inverting the cumulated probabilities.

    Args:
        logits: Logits, ``(rows, vocabulary)``, float32.
        uniform: Random numbers in [0, 1], ``(rows,)``; float32 rounds numbers just below 1 to 1.
        temperature: Divisor of the logits; 0 takes the most probable token.

    Returns:
        Token ids, ``(rows,)``.
    """
    if temperature == 0:
        return logits.argmax(-1)
    weights = (logits - logits.amax(-1, keepdim=True)).div_(temperature).exp_()
    cumulated = weights.cumsum(-1)
    # 1 itself would draw a token beyond the last possible one.
    below = uniform.clamp(max=1 - 2**-24)
    tokens = torch.searchsorted(cumulated, below[:, None] * cumulated[:, -1:], right=True)
    return tokens[:, 0].clamp(max=logits.shape[-1] - 1)
