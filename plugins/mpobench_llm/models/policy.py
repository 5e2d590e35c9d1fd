"""Policies: an adapter on a base model, in peft's format."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from mpobench import RequestError

if TYPE_CHECKING:
    from peft import LoraConfig

ADAPTER = "adapter_model.safetensors"
"""peft's name for the weights, beside its ``adapter_config.json``."""


@dataclass(frozen=True)
class Policy:
    """A trained language model: an adapter on a base model. Without arguments, the untrained base model.

    Attributes:
        lora: Shape of the adapter; None for the base model itself.
        weights: Weights of the adapter by peft's names, float32 on the CPU.
        base_model: Name of the base model in the adapter's file.
    """

    lora: LoraConfig | None = None
    weights: Mapping[str, torch.Tensor] | None = None
    base_model: str | None = None

    def save(self, folder: Path) -> None:
        """Writes files that ``peft.PeftModel.from_pretrained`` reads.

        Raises:
            RequestError: If this is the untrained model.
        """
        if self.lora is None or self.weights is None:
            raise RequestError("the untrained model has no adapter to save")
        card = copy.copy(self.lora)
        card.base_model_name_or_path, card.inference_mode = self.base_model, True
        card.save_pretrained(str(folder))
        save_file(dict(self.weights), folder / ADAPTER)

    @classmethod
    def load(cls, folder: Path) -> Policy:
        """Reads an adapter that :meth:`save`, or peft, wrote."""
        from peft import LoraConfig

        lora = LoraConfig.from_pretrained(str(folder))
        base_model, lora.base_model_name_or_path = lora.base_model_name_or_path, None
        lora.inference_mode = False
        return cls(lora, load_file(folder / ADAPTER), base_model)
