"""Settings of a language environment's TOML file: training, datasets, evaluation, sampling of answers.

Free of torch, so that planning a run stays fast.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from mpobench.env_kit.env_file import EnvFile, Settings

Overlong: TypeAlias = Literal["drop", "cut"]
"""What becomes of pairs that are too long."""


class TrainingSettings(Settings):
    """The training of one policy. Defaults are the paper's §5 and Table 9.

    Attributes:
        epochs: Epochs of one-stage training.
        sft_epochs: Epochs of the first stage of two-stage training.
        po_epochs: Epochs of its second stage.
        learning_rate: AdamW's learning rate in one-stage training and in the SFT stage. Below its range an adapter
            does not move in as few updates as a tuning has.
        po_learning_rate: AdamW's learning rate in the second stage.
        schedule: Schedule of the learning rate over a stage.
        warmup: Share of a stage's updates over which the learning rate rises from 0.
        pairs_per_batch: Number of pairs in memory at once on each device.
        accumulation: Number of batches per update; times ``pairs_per_batch``, the minibatch size.
        po_accumulation: The same in the stage that the objective rules: the second one, or the only one. None is
            ``accumulation``, or as many as make up the pairs that a loss that depends on its batch asks for
            (``min_pairs``), or all pairs: an epoch is then a single update.
        max_grad_norm: Global norm to which larger gradients are scaled down.
        lora_rank: Rank of the adapter's matrices.
        lora_alpha: Scale of the adapter, which is alpha / rank.
        lora_dropout: Probability of dropping an adapter's input in the SFT stage. Preferences are learned without any
            dropout, as in TRL, so that policy and reference begin as one function; a model's own dropout is always off,
            and the adapter of a mixture of experts has none.
        max_length: Largest number of tokens of a prompt with either of its completions, at most the model's positions.
        overlong: What becomes of longer pairs: ``drop`` leaves them out; ``cut`` takes tokens out of the prompt, behind
            what begins the conversation, then off the ends of completions, and leaves out pairs that become equal.
        precision: Precision of the frozen weights and of products; ``auto`` takes bfloat16 where the device is
            faster in it, so that machines may differ. The adapter and its gradients are always float32. Answers and
            evaluations take ``auto`` (those of ``smollm-style`` float32), whatever a training takes.
        gradient_checkpointing: Whether the backward pass computes activations again, which saves memory; ``auto`` does
            so on accelerators for models of more than a billion parameters.
        kl_answers: Number of answers that the policy gives at the end of an epoch, for the curve of its KL divergence
            from the reference policy; 0 leaves that curve out.
        kl_tokens: Largest number of tokens of such an answer.
        checkpoint_updates: Number of updates between checkpoints; None keeps one an epoch.
        processes: Number of processes of data-parallel training, which share the batches of an update; None is one per
            accelerator, where their number divides ``accumulation``.
    """

    epochs: int = Field(4, ge=1)
    sft_epochs: int = Field(3, ge=1)
    po_epochs: int = Field(1, ge=1)
    learning_rate: float = Field(
        5e-5, gt=0, json_schema_extra={"search": {"low": 1e-5, "high": 1e-2, "log": True}}
    )
    po_learning_rate: float = Field(
        5e-7, gt=0, json_schema_extra={"search": {"low": 1e-7, "high": 1e-2, "log": True}}
    )
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.1, ge=0, lt=1)
    pairs_per_batch: int = Field(2, ge=1)
    accumulation: int = Field(32, ge=1)
    po_accumulation: int | None = Field(None, ge=1)
    max_grad_norm: float = Field(1.0, gt=0)
    lora_rank: int = Field(128, ge=1)
    lora_alpha: int = Field(256, ge=1)
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    max_length: int = Field(2048, ge=8)
    overlong: Overlong = "drop"
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    gradient_checkpointing: Literal["auto", "on", "off"] = "auto"
    kl_answers: int = Field(4, ge=0)
    kl_tokens: int = Field(32, ge=1)
    checkpoint_updates: int | None = Field(None, ge=1)
    processes: int | None = Field(None, ge=1)


NOT_IN_KEY = frozenset(
    {"gradient_checkpointing", "kl_answers", "kl_tokens", "checkpoint_updates", "processes"}
)
"""Training settings that do not decide the result: they stay out of content keys."""


class DatasetSettings(Settings):
    """The preference dataset.

    Attributes:
        pairs: Number of pairs (rows); None takes all.
        block: Number of answers in one file of the pool; workers make files in parallel.
    """

    pairs: int | None = Field(None, ge=2)
    block: int = Field(64, ge=1)


class EvaluationSettings(Settings):
    """The score of one policy.

    Attributes:
        answers: Number of answers to held-out instructions; beyond the number of instructions, they repeat.
        pairs: Number of held-out preference pairs.
        batch: Number of answers sampled at once.
        pairs_per_batch: Number of held-out pairs whose log-probabilities are computed at once.
        answers_per_batch: The same of answers, where their log-probabilities are a part of the score.
    """

    answers: int = Field(ge=1)
    pairs: int = Field(64, ge=1)
    batch: int = Field(64, ge=1)
    pairs_per_batch: int = Field(8, ge=1)
    answers_per_batch: int = Field(16, ge=1)


class SamplingSettings(Settings):
    """Sampling of answers, for datasets and for evaluations.

    Attributes:
        temperature: Temperature of the softmax.
        max_tokens: Largest number of tokens; a longer answer is cut off.
    """

    temperature: float = Field(0.7, ge=0)
    max_tokens: int = Field(ge=1)


class EnvSettings(EnvFile[DatasetSettings, EvaluationSettings]):
    """A whole environment file.

    Attributes:
        sampling: Sampling of answers.
    """

    sampling: SamplingSettings
