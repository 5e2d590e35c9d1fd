"""Rows of tokens as the tensors of one forward pass, in one of two layouts.

Packed, a row holds its prompt once. Both completions continue from its last token, at the same positions, and neither
sees the other, by a mask of four dimensions. That is the same computation as two sequences, without the second prompt,
for models whose layers mix positions by plain attention alone. Apart, every completion is a sequence of its own behind
its prompt, padded on the right, and the model builds its masks and positions itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

import torch

from mpobench_llm.models.tokens import Row

Layout: TypeAlias = Literal["packed", "apart"]
"""Arrangement of prompts and completions in a forward pass."""


@dataclass(frozen=True)
class Batch:
    """Rows, padded to the longest sequence.

    Attributes:
        inputs: Arguments of the model. Packed: ``input_ids`` and ``position_ids`` of shape ``(rows, tokens)``,
            ``attention_mask`` of shape ``(rows, 1, tokens, tokens)``, additive. Apart: ``input_ids`` and
            ``attention_mask`` of shape ``(rows · sides, tokens)``.
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


def collate(rows: Sequence[Row], dtype: torch.dtype, layout: Layout) -> Batch:
    """The batch of some rows.

    Args:
        rows: Rows with equally many completions.
        dtype: Type of a packed batch's mask: that of the model's activations.
        layout: Arrangement of prompts and completions.
    """
    sides = len(rows[0].completions)
    inputs, begins = _packed(rows, dtype) if layout == "packed" else _apart(rows)
    width = inputs["input_ids"].shape[1]
    sources: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for r, row in enumerate(rows):
        for side, completion in enumerate(row.completions):
            line, at = begins[r * sides + side]
            last = line * width + len(row.prompt) - 1
            sources += [last, *range(line * width + at, line * width + at + len(completion) - 1)]
            targets += completion
            owners += [r * sides + side] * len(completion)
    return Batch(
        inputs,
        sources=torch.tensor(sources),
        targets=torch.tensor(targets),
        owners=torch.tensor(owners),
        lengths=torch.tensor([[len(completion) for completion in row.completions] for row in rows]),
        indices=torch.tensor([row.index for row in rows]),
    )


def _packed(rows: Sequence[Row], dtype: torch.dtype) -> tuple[dict[str, torch.Tensor], list[tuple[int, int]]]:
    """Arguments of the model, and the line and column in which each completion begins."""
    width = max(map(len, rows))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    positions = torch.zeros_like(ids)
    segments = torch.full((len(rows), width), -1)
    begins: list[tuple[int, int]] = []
    for r, row in enumerate(rows):
        begin = len(row.prompt)
        ids[r, : len(row)] = torch.tensor([*row.prompt, *_chain(row.completions)])
        positions[r, :begin] = torch.arange(begin)
        segments[r, :begin] = 0
        at = begin
        for side, completion in enumerate(row.completions):
            begins.append((r, at))
            end = at + len(completion)
            positions[r, at:end] = torch.arange(begin, begin + len(completion))
            segments[r, at:end] = side + 1
            at = end
    mask = _mask(segments, dtype)
    return {"input_ids": ids, "position_ids": positions, "attention_mask": mask}, begins


def _apart(rows: Sequence[Row]) -> tuple[dict[str, torch.Tensor], list[tuple[int, int]]]:
    """The same, with a line for each completion."""
    sequences = [(*row.prompt, *completion) for row in rows for completion in row.completions]
    ids = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for line, sequence in enumerate(sequences):
        ids[line, : len(sequence)] = torch.tensor(sequence)
        mask[line, : len(sequence)] = 1
    prompts = [len(row.prompt) for row in rows for _ in row.completions]
    return {"input_ids": ids, "attention_mask": mask}, list(enumerate(prompts))


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
