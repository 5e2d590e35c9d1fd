"""Rows of tokens as the tensors of one forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import torch

from mpobench_llm.models.tokens import Row


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
