"""A stage in this process."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import transformers

from mpobench import DivergedError
from mpobench_llm.models.adapters import adapted, recomputing, with_experts
from mpobench_llm.models.base_model import device, load_base
from mpobench_llm.models.head import Head, headless
from mpobench_llm.models.policy import Policy
from mpobench_llm.training.curves import epoch_means
from mpobench_llm.training.stage import Stage
from mpobench_llm.training.trainer import PreferenceTrainer


def carry_out(stage: Stage, report: Callable[[float], None]) -> tuple[Policy, dict[str, list[float]]]:
    """Trains the adapter of a stage, from its last checkpoint if there is one.

    Args:
        stage: Stage.
        report: Function of the fraction that is done.

    Returns:
        The policy, and its curves (see :func:`fit`).

    Raises:
        DivergedError: When the loss or the weights leave the finite numbers.
    """
    model, _ = load_base(stage.source)
    torch.manual_seed(stage.seed)
    lora = with_experts(stage.lora, model)
    with adapted(model, lora, stage.weights) as wrapped:
        with headless(model) as head:
            curves = fit(wrapped, head, stage, report)
        return Policy(lora, _weights(wrapped), stage.source.name), curves


def _weights(wrapped: Any) -> dict[str, torch.Tensor]:
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
    weights = {name: value.detach().float().cpu().clone() for name, value in state.items()}
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise DivergedError("the adapter's weights are not finite at the end of training")
    return weights


def fit(model: Any, head: Head, stage: Stage, report: Callable[[float], None]) -> dict[str, list[float]]:
    """Trains an adapter in place, from the last checkpoint of the stage if there is one.

    Args:
        model: Model with an adapter, and without its head.
        head: Its head.
        stage: Stage. Its source, adapter and initial weights are not read: the model has them.
        report: Function of the fraction that is done.

    Returns:
        One list per quantity, one entry per epoch (see :func:`~mpobench_llm.training.curves.epoch_means`).

    Raises:
        DivergedError: When the loss leaves the finite numbers.
    """
    deep = model.num_parameters() > 1e9 and device().type != "cpu"
    choice = stage.settings.gradient_checkpointing
    recompute = choice == "on" or (choice == "auto" and deep)
    trainer = PreferenceTrainer(model, head, stage, _arguments(stage, head.dtype == torch.bfloat16), report)
    with recomputing(model) if recompute else nullcontext(), _denormals_as_zeros():
        trainer.train(resume_from_checkpoint=_last_checkpoint(stage.folder))
    curves = epoch_means(trainer.state.log_history, stage.epochs)
    del trainer
    gc.collect()  # it is part of a cycle, and holds the optimizer
    return curves


@contextmanager
def _denormals_as_zeros() -> Iterator[None]:
    """In this thread, numbers below the normal ones of float32 (1e-38) count as 0.

    A saturated loss has such gradients, and matrix products of them take a hundred times as long on a CPU.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _arguments(stage: Stage, half: bool) -> transformers.TrainingArguments:
    """Settings of transformers' Trainer.

    Args:
        stage: Stage.
        half: Whether the model is in bfloat16.
    """
    settings = stage.settings
    on_cpu = device().type == "cpu"
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # of the data-parallel training of this process
    arguments = transformers.TrainingArguments(
        output_dir=str(stage.folder),
        num_train_epochs=stage.epochs,
        learning_rate=stage.learning_rate,
        # transformers' "constant" knows no warm-up
        lr_scheduler_type="constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        warmup_steps=settings.warmup,
        per_device_train_batch_size=settings.pairs_per_batch,
        gradient_accumulation_steps=settings.accumulation // processes,
        max_grad_norm=settings.max_grad_norm,
        weight_decay=0.0,
        bf16=half,
        use_cpu=on_cpu,
        ddp_find_unused_parameters=False,
        seed=stage.seed,
        save_strategy="epoch" if settings.checkpoint_updates is None else "steps",
        save_steps=settings.checkpoint_updates or 500,
        save_total_limit=1,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=not on_cpu,
    )
    if arguments.n_gpu > 1:  # or transformers splits batches over all accelerators: another minibatch size
        arguments._n_gpu = 1
    return arguments


def _last_checkpoint(folder: Path) -> str | None:
    """The last whole checkpoint. One that a kill has cut short lacks the state, which is written last."""
    by_age = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    for path in by_age:
        try:
            json.loads((path / "trainer_state.json").read_bytes())
        except (OSError, ValueError):
            shutil.rmtree(path)
        else:
            return str(path)
    return None
