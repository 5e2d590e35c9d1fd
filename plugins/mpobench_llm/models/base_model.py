"""The frozen base model of this process, loaded once, and its tokenizer."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch

from mpobench_llm.models.chat_templates import ensure_chat_template
from mpobench_llm.models.loading_errors import explained
from mpobench_llm.models.positions import positions_of_model
from mpobench_llm.models.quiet import silence_libraries


@dataclass(frozen=True)
class ModelSource:
    """The place of a model.

    Attributes:
        location: Hub id, or a folder.
        name: Name of the model in the files of its adapters.
        precision: Precision of the weights: ``auto``, ``bfloat16``, ``float32``.
        revision: Commit on the hub; None for a folder.
    """

    location: str
    name: str
    precision: str = "auto"
    revision: str | None = None

    @property
    def computed(self) -> str:
        """Precision in which this machine computes: ``bfloat16`` or ``float32``."""
        half = self.precision == "bfloat16" or (self.precision == "auto" and has_bfloat16())
        return "bfloat16" if half else "float32"

    @property
    def positions(self) -> int | None:
        """Largest number of tokens of the model's input; None if it has no limit."""
        return positions_of_model(self.location, self.revision)


def device() -> torch.device:
    """The device of all models: the first accelerator, or the CPU."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")


def has_bfloat16() -> bool:
    """Whether this machine multiplies in bfloat16 faster than in float32.

    Of CPUs, those with matrix units (AMX). With AVX-512's dot products alone, matrices of a training's size take longer
    in bfloat16: ``tests/benchmarks/test_precision.py`` times both.
    """
    if device().type == "cpu":
        return bool(torch.cpu._is_amx_tile_supported())
    return device().type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


@functools.lru_cache(maxsize=4)
def load_tokenizer(location: str, revision: str | None = None) -> Any:
    """The tokenizer of a model, with a chat template.

    Args:
        location: Hub id, or a folder.
        revision: Commit on the hub.

    Raises:
        RequestError: If it cannot be loaded, with the next step.
    """
    from transformers import AutoTokenizer

    with explained(location):
        tokenizer = AutoTokenizer.from_pretrained(location, revision=revision)
    ensure_chat_template(tokenizer)
    return tokenizer


_loaded: dict[tuple[str, str | None, str], Any] = {}


def load_base(source: ModelSource) -> tuple[Any, Any]:
    """A frozen model and its tokenizer. The last model stays in memory.

    Raises:
        RequestError: If it cannot be loaded, with the next step.
    """
    key = (source.location, source.revision, source.computed)
    if key not in _loaded:
        _loaded.clear()  # first, so that there is never more than one
        _loaded[key] = _load(source)
    return _loaded[key], load_tokenizer(source.location, source.revision)


def forget_base() -> None:
    """Drops the model that is in memory: the next :func:`load_base` reads it again."""
    _loaded.clear()


def _load(source: ModelSource) -> Any:
    from transformers import AutoModelForCausalLM

    silence_libraries()
    # On a CPU and at these lengths, plain products are faster than the fused kernel.
    attention = "eager" if device().type == "cpu" else "sdpa"
    with explained(source.location):
        model: Any = AutoModelForCausalLM.from_pretrained(
            source.location,
            revision=source.revision,
            dtype=getattr(torch, source.computed),
            attn_implementation=attention,
        )
    return model.requires_grad_(False).to(device()).eval()
