"""transformers' training loop with any objective of mpobench."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import transformers

from mpobench import DivergedError, PreferenceBatch, SequenceLogps
from mpobench_llm.models.batch import Batch, collate
from mpobench_llm.models.head import Head
from mpobench_llm.models.layouts import layout_for
from mpobench_llm.models.logps import sequence_logps
from mpobench_llm.training import whole_update
from mpobench_llm.training.curves import KL, batch_sums
from mpobench_llm.training.kl_curve import kl_to_reference
from mpobench_llm.training.length_sampler import ShuffledByLength
from mpobench_llm.training.padding import count, counted, padded
from mpobench_llm.training.stage import Stage
from mpobench_llm.training.whole_update import Share


class PreferenceTrainer(transformers.Trainer):
    """transformers' Trainer with a loss on pairs of completions.

    Args:
        model: Model with an adapter, and without its head.
        head: Its head.
        stage: Objective, rows, references and settings.
        arguments: Settings of transformers' Trainer.
        report: Function of the fraction that is done.
    """

    def __init__(
        self,
        model: Any,
        head: Head,
        stage: Stage,
        arguments: transformers.TrainingArguments,
        report: Callable[[float], None],
    ) -> None:
        self._head, self._objective, self._reference = head, stage.objective, stage.reference
        self._stage = stage
        self._pairs_per_update = stage.settings.pairs_per_batch * stage.settings.accumulation
        self._row_lengths = [len(row) for row in stage.rows]
        rows = padded(stage.rows, stage.settings.pairs_per_batch, arguments.world_size)
        self._padding = len(rows) - len(stage.rows)
        dtype, layout = head.dtype, layout_for(model, head, stage.rows)
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=lambda batch: vars(collate(batch, dtype, layout)),
            callbacks=[_Progress(report, self)],
        )
        self.loss_is_scaled_for_ga = True
        self.remove_callback(transformers.PrinterCallback)
        self.update_sums: list[dict[str, float]] = []
        self._batches: list[Any] = []
        self._shares: list[Share] = []

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:
        return ShuffledByLength(self._row_lengths, self._pairs_per_update, self.args.seed, self._padding)

    def compute_loss(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """A batch's share of the mean loss over the pairs of its update.

        transformers' loop puts the model into training mode. It is taken out of it: the model's own dropout, layer drop
        and router noise would make the policy another function than the reference. The adapter's dropout is left.
        """
        model.eval()
        for module in model.modules():
            if hasattr(module, "lora_dropout"):
                module.lora_dropout.train()
        if self._batches:
            self._shares, self._batches = self._shares_of_update(model, self._batches), []
        batch = Batch(**inputs)
        totals = sequence_logps(model, self._head, batch)
        lengths, indices, totals = counted(batch.lengths, batch.indices, totals)
        pairs, references = self._preferences(lengths, indices, totals), self._references(lengths, indices)
        if self._shares:
            losses = self._shares.pop(0).losses(totals)
        else:  # of a process's batch that is padding alone, there is no loss to ask for
            losses = self._objective.loss(pairs) if len(indices) else totals.sum(1)
        self.update_sums.append(batch_sums(pairs, losses, references, sides=lengths.shape[1]))
        # Gradients are averaged over processes, and the loss is a mean over the pairs of all of them.
        return losses.sum() * self.accelerator.num_processes / num_items_in_batch

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> Any:
        """The batches of an update, which a loss that depends on its batch has to see together."""
        batches, pairs = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self._objective.min_pairs > 1 and (len(batches) > 1 or self.accelerator.num_processes > 1):
            self._batches = batches
        return batches, pairs

    def _shares_of_update(self, model: Any, batches: Sequence[Any]) -> list[Share]:
        """The shares of this process's batches in the loss of the whole update.

        With its first batch, not when batches are fetched: after a stop, random numbers go on from there.
        """
        on_device: list[dict[str, Any]] = [self._prepare_inputs(batch) for batch in batches]
        return whole_update.shares(
            [Batch(**batch) for batch in on_device],
            lambda batch: sequence_logps(model, self._head, batch),
            lambda lengths, indices, totals: self._objective.loss(
                self._preferences(lengths, indices, totals)
            ),
        )

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> int:
        """The number of pairs of an update: batches may be of unequal size, and the last update may have fewer."""
        return int(self.over_processes([float(sum(count(batch["indices"]) for batch in batch_samples))])[0])

    def over_processes(self, values: list[float]) -> list[float]:
        """The sums of numbers over all processes of a training."""
        if self.accelerator.num_processes == 1:
            return values
        device = self.accelerator.device
        dtype = torch.float32 if device.type == "mps" else torch.float64
        sums: list[float] = self.accelerator.reduce(torch.tensor(values, dtype=dtype, device=device)).tolist()
        return sums

    def _preferences(
        self, lengths: torch.Tensor, indices: torch.Tensor, totals: torch.Tensor
    ) -> PreferenceBatch:
        """The argument of the objective.

        Args:
            lengths: Number of tokens of each completion, ``(pairs, sides)``.
            indices: Numbers of the pairs in their dataset, ``(pairs,)``.
            totals: Log-probabilities in nats, ``(pairs, sides)``.
        """
        last = lengths.shape[1] - 1  # rows of an SFT stage have one completion
        progress = self.state.global_step / max(1, self.state.max_steps - 1)
        references = self._references(lengths, indices) if self._objective.needs_reference else None
        chosen, rejected = references or (None, None)
        return PreferenceBatch(
            _side(totals, lengths, 0),
            _side(totals, lengths, last),
            chosen,
            rejected,
            totals.new_tensor(min(1.0, progress)),
        )

    def _references(
        self, lengths: torch.Tensor, indices: torch.Tensor
    ) -> tuple[SequenceLogps, SequenceLogps] | None:
        """Log-probabilities of (chosen, rejected) under the reference policy; None in an SFT stage, which makes it."""
        if self._reference is None:
            return None
        logps = self._reference.to(lengths.device)[indices]
        return _side(logps, lengths, 0), _side(logps, lengths, 1)

    def epoch_kl(self, epoch: int) -> float | None:
        """KL to the reference policy at the end of an epoch; None where nobody asks, or there is no reference."""
        stage = self._stage
        if stage.reference is None or not stage.settings.kl_answers or not self.is_world_process_zero():
            return None
        return kl_to_reference(self.model, self._head, stage, epoch)


def _side(logps: torch.Tensor, lengths: torch.Tensor, column: int) -> SequenceLogps:
    return SequenceLogps(logps[:, column], lengths[:, column].to(logps.dtype))


class _Progress(transformers.TrainerCallback):
    """After each update, writes its sums into the state that checkpoints keep, and reports progress."""

    def __init__(self, report: Callable[[float], None], trainer: PreferenceTrainer) -> None:
        self._report, self._trainer = report, trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        batches, self._trainer.update_sums = self._trainer.update_sums, []
        names = tuple(batches[0])
        sums = self._trainer.over_processes([sum(batch[name] for batch in batches) for name in names])
        totals = dict(zip(names, sums, strict=True))
        if not math.isfinite(totals["loss"]):
            raise DivergedError(f"the loss is not finite at update {state.global_step} of {state.max_steps}")
        epoch = math.ceil(state.epoch - 1e-6)
        state.log_history.append({"update": state.global_step, "epoch": epoch, **totals})
        if abs(state.epoch - epoch) < 1e-6:  # before a checkpoint is written, which has to have it
            kl = self._trainer.epoch_kl(epoch)
            if kl is not None:
                state.log_history.append({"epoch": epoch, KL: kl})
        self._report(state.global_step / state.max_steps)
