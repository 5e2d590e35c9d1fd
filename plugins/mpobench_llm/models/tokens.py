"""Rows of tokens: a prompt and the completions that share it.

The chosen and the rejected completion have the same prompt, so a row holds it once. Both completions continue from its
last token, at the same positions, and neither sees the other. That is the same computation as two sequences, without
the second prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from mpobench import RequestError
from mpobench_llm.models.chat_templates import fold_system, takes_system
from mpobench_llm.models.preference_pair import Message, PreferencePair


@dataclass(frozen=True)
class Row:
    """A prompt and its completions, as token ids.

    Attributes:
        prompt: Tokens of the prompt, at least one.
        completions: Tokens of (chosen, rejected), or of the chosen one alone; each at least one token.
        index: Number of the pair in its dataset.
    """

    prompt: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]
    index: int = 0

    def __len__(self) -> int:
        """Number of tokens in memory."""
        return len(self.prompt) + sum(map(len, self.completions))


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Tokens of a conversation up to the beginning of the assistant's next message."""
    ids: list[int] = tokenizer(_render(tokenizer, messages), add_special_tokens=False)["input_ids"]
    return ids


def completion_ids(tokenizer: Any, messages: Sequence[Message], answer: str) -> list[int]:
    """Tokens of the assistant's next message with its end, as the chat template writes it.

    Raises:
        RequestError: If the template writes a conversation differently when an answer follows it.
    """
    before = _render(tokenizer, messages)
    whole = _render(tokenizer, [*messages, {"role": "assistant", "content": answer}], answered=True)
    if not whole.startswith(before):
        raise RequestError(
            f"the chat template of {tokenizer.name_or_path} changes a conversation when an answer follows it: "
            "completions cannot be told from prompts; give a model with another template"
        )
    prompt, conversation = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in (before, whole.rstrip())
    )
    if conversation[: len(prompt)] == prompt:
        completion: list[int] = conversation[len(prompt) :]
    else:  # a token spans the border, which a sampled completion never has
        completion = tokenizer(whole[len(before) :].rstrip(), add_special_tokens=False)["input_ids"]
    return completion


def _render(tokenizer: Any, messages: Sequence[Message], answered: bool = False) -> str:
    conversation = list(messages) if takes_system(tokenizer) else fold_system(messages)
    text: str = tokenizer.apply_chat_template(
        conversation, add_generation_prompt=not answered, tokenize=False
    )
    return text


def encode(tokenizer: Any, pair: PreferencePair, max_length: int, index: int = 0) -> Row:
    """The tokens of a pair, cut to a maximal length.

    A prompt longer than half of it keeps its end; a completion keeps its beginning.
    """
    prompt = prompt_ids(tokenizer, pair.prompt)
    completions = [completion_ids(tokenizer, pair.prompt, text) for text in (pair.chosen, pair.rejected)]
    if len(prompt) + max(map(len, completions)) > max_length:
        prompt = prompt[-(max_length // 2) :]
    room = max_length - len(prompt)
    return Row(tuple(prompt), tuple(tuple(ids[:room]) for ids in completions), index)


@dataclass(frozen=True)
class Batch:
    """Rows, padded to the longest one.

    Attributes:
        inputs: Arguments of the model: ``input_ids`` and ``position_ids`` of shape ``(rows, tokens)``,
            ``attention_mask`` of shape ``(rows, 1, tokens, tokens)``, additive.
        sources: Flat positions whose logits predict a completion's token, ``(predictions,)``.
        targets: Predicted tokens, ``(predictions,)``.
        owners: Completion of each prediction, row · sides + side, ``(predictions,)``.
        lengths: Number of tokens of each completion, ``(rows, sides)``.
        indices: Numbers of the pairs in their dataset, ``(rows,)``.
    """

    inputs: dict[str, torch.Tensor]
    sources: torch.Tensor
    targets: torch.Tensor
    owners: torch.Tensor
    lengths: torch.Tensor
    indices: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        moved = {
            field.name: getattr(self, field.name).to(device)
            for field in fields(self)
            if field.name != "inputs"
        }
        return Batch({name: tensor.to(device) for name, tensor in self.inputs.items()}, **moved)


def collate(rows: Sequence[Row], dtype: torch.dtype) -> Batch:
    """The batch of some rows.

    Args:
        rows: Rows with equally many completions.
        dtype: Type of the mask: that of the model's activations.
    """
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    positions = torch.zeros_like(ids)
    segments = torch.full((len(rows), width), -1)
    sources: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for r, row in enumerate(rows):
        begin, sides = len(row.prompt), len(row.completions)
        ids[r, : len(row)] = torch.tensor([*row.prompt, *_chain(row.completions)])
        positions[r, :begin] = torch.arange(begin)
        segments[r, :begin] = 0
        at = begin
        for side, completion in enumerate(row.completions):
            end = at + len(completion)
            positions[r, at:end] = torch.arange(begin, begin + len(completion))
            segments[r, at:end] = side + 1
            sources += [r * width + begin - 1, *range(r * width + at, r * width + end - 1)]
            targets += completion
            owners += [r * sides + side] * len(completion)
            at = end
    lengths = torch.tensor([[len(completion) for completion in row.completions] for row in rows])
    inputs = {"input_ids": ids, "position_ids": positions, "attention_mask": _mask(segments, dtype)}
    return Batch(
        inputs,
        sources=torch.tensor(sources),
        targets=torch.tensor(targets),
        owners=torch.tensor(owners),
        lengths=lengths,
        indices=torch.tensor([row.index for row in rows]),
    )


def _chain(completions: Iterable[Sequence[int]]) -> list[int]:
    return [token for completion in completions for token in completion]


def _mask(segments: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The additive mask of attention: a token sees the prompt and its own completion, up to itself."""
    width = segments.shape[1]
    same = segments[:, :, None] == segments[:, None, :]
    prompt = (segments[:, None, :] == 0) & (segments[:, :, None] > 0)
    seen = (same | prompt) & torch.ones(width, width, dtype=torch.bool).tril()
    hidden = torch.full((), torch.finfo(dtype).min, dtype=dtype)
    return torch.where(seen, torch.zeros((), dtype=dtype), hidden)[:, None]
