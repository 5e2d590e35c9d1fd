"""A loss over a whole update whose batches are computed one after the other, or by several processes.

A loss that depends on its batch (``min_pairs``) has to see all pairs of an update. So their log-probabilities are
computed first, without gradients; of these few numbers come the loss and its slopes in each log-probability; then each
batch is computed again, and its gradient is what these slopes make of it. That equals one large batch, at the price of
a second forward pass.

References:
    Gao et al. (2021), Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup, arXiv:2101.06983
    (GradCache).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mpobench_llm.training.padding import counted

if TYPE_CHECKING:
    from mpobench_llm.models.batch import Batch


@dataclass(frozen=True)
class Share:
    """The share of a batch in the loss of its update.

    Attributes:
        values: Losses of the batch's pairs among all pairs of the update, ``(pairs,)``.
        slopes: Derivatives of the summed loss of the update in the batch's log-probabilities, ``(pairs, sides)``.
    """

    values: torch.Tensor
    slopes: torch.Tensor

    def losses(self, totals: torch.Tensor) -> torch.Tensor:
        """The losses of the pairs, ``(pairs,)``; the gradient of their sum is that of the summed loss of the update.

        Args:
            totals: Log-probabilities of the same batch, with a gradient, ``(pairs, sides)``.
        """
        return self.values + ((totals - totals.detach()) * self.slopes).sum(1)


def shares(
    batches: Sequence[Batch],
    logps: Callable[[Batch], torch.Tensor],
    losses: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
) -> list[Share]:
    """The shares of this process's batches in the loss over the pairs of all batches of all processes.

    Random numbers are left where they were, so that a second pass over the batches draws what this one has drawn.

    Args:
        batches: Batches of this process.
        logps: Function of a batch, its log-probabilities, ``(pairs, sides)``.
        losses: Function of lengths, numbers and log-probabilities of pairs: their losses, ``(pairs,)``.
    """
    device = batches[0].indices.device
    accelerators = [] if device.type == "cpu" else [device]
    with torch.no_grad(), torch.random.fork_rng(accelerators, device_type=_kind(device)):
        totals = [logps(batch) for batch in batches]
    parts = [counted(b.lengths, b.indices, t) for b, t in zip(batches, totals, strict=True)]
    mine = [torch.cat(each) for each in zip(*parts, strict=True)]
    before, everyone = _of_all_processes(mine)
    lengths, indices, joined = (torch.cat(each) for each in zip(*everyone, strict=True))
    joined.requires_grad_(True)
    with torch.enable_grad():
        values = losses(lengths, indices, joined)
        (slopes,) = torch.autograd.grad(values.sum(), joined)
    own = slice(before, before + len(mine[1]))
    sizes = [len(indices) for _, indices, _ in parts]
    return [
        Share(*each) for each in zip(values.detach()[own].split(sizes), slopes[own].split(sizes), strict=True)
    ]


def _kind(device: torch.device) -> str:
    """The type of accelerator whose random numbers are meant; ``cuda`` where there is none."""
    return "cuda" if device.type == "cpu" else device.type


def _of_all_processes(mine: list[torch.Tensor]) -> tuple[int, list[list[torch.Tensor]]]:
    """The number of pairs of the processes before this one, and what each process has, in their order."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, [mine]
    everyone: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyone, [tensor.cpu() for tensor in mine])
    before = sum(len(theirs[1]) for theirs in everyone[: distributed.get_rank()])
    return before, [[tensor.to(mine[0].device) for tensor in theirs] for theirs in everyone]
