"""transformers' training loop with any objective of mpobench."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import transformers

from mpobench import DivergedError, PreferenceBatch, SequenceLogps
from mpobench_llm.models.batch import Batch, collate
from mpobench_llm.models.head import Head
from mpobench_llm.models.layouts import layout_for
from mpobench_llm.models.logps import sequence_logps
from mpobench_llm.training.curves import QUANTITIES, batch_sums
from mpobench_llm.training.length_sampler import ShuffledByLength
from mpobench_llm.training.stage import Stage


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
        self._pairs_per_update = stage.settings.pairs_per_batch * stage.settings.accumulation
        self._row_lengths = [len(row) for row in stage.rows]
        dtype, layout = head.dtype, layout_for(model, head, stage.rows)
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=stage.rows,
            data_collator=lambda batch: vars(collate(batch, dtype, layout)),
            callbacks=[_Progress(report, self)],
        )
        self.loss_is_scaled_for_ga = True
        self.remove_callback(transformers.PrinterCallback)
        self.update_sums: list[dict[str, float]] = []

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:
        return ShuffledByLength(self._row_lengths, self._pairs_per_update, self.args.seed)

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
        batch = Batch(**inputs)
        pairs = self._preferences(batch, sequence_logps(model, self._head, batch))
        losses = self._objective.loss(pairs)
        self.update_sums.append(batch_sums(pairs, losses))
        # Gradients are averaged over processes, and the loss is a mean over the pairs of all of them.
        return losses.sum() * self.accelerator.num_processes / num_items_in_batch

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> int:
        """The number of pairs of an update: batches may be of unequal size, and the last update may have fewer."""
        return int(self.over_processes([float(sum(len(batch["indices"]) for batch in batch_samples))])[0])

    def over_processes(self, values: list[float]) -> list[float]:
        """The sums of numbers over all processes of a training."""
        if self.accelerator.num_processes == 1:
            return values
        device = self.accelerator.device
        dtype = torch.float32 if device.type == "mps" else torch.float64
        sums: list[float] = self.accelerator.reduce(torch.tensor(values, dtype=dtype, device=device)).tolist()
        return sums

    def _preferences(self, batch: Batch, totals: torch.Tensor) -> PreferenceBatch:
        """The argument of the objective."""
        lengths = batch.lengths.to(totals.dtype)

        def side(logps: torch.Tensor, column: int) -> SequenceLogps:
            return SequenceLogps(logps[:, column], lengths[:, column])

        last = lengths.shape[1] - 1  # rows of an SFT stage have one completion
        progress = self.state.global_step / max(1, self.state.max_steps - 1)
        pairs = PreferenceBatch(
            side(totals, 0), side(totals, last), progress=totals.new_tensor(min(1.0, progress))
        )
        if self._reference is None:
            return pairs
        reference = self._reference.to(totals.device)[batch.indices]
        return PreferenceBatch(
            pairs.chosen, pairs.rejected, side(reference, 0), side(reference, 1), pairs.progress
        )


class _Progress(transformers.TrainerCallback):
    """After each update, writes its sums into the state that checkpoints keep, and reports progress."""

    def __init__(self, report: Callable[[float], None], trainer: PreferenceTrainer) -> None:
        self._report, self._trainer = report, trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        batches, self._trainer.update_sums = self._trainer.update_sums, []
        names = ("pairs", *QUANTITIES)
        sums = self._trainer.over_processes([sum(batch[name] for batch in batches) for name in names])
        totals = dict(zip(names, sums, strict=True))
        if not math.isfinite(totals["loss"]):
            raise DivergedError(f"the loss is not finite at update {state.global_step} of {state.max_steps}")
        epoch = math.ceil(state.epoch - 1e-6)
        state.log_history.append({"update": state.global_step, "epoch": epoch, **totals})
        self._report(state.global_step / state.max_steps)
