"""Adapters on the base model for a while: to train, to compute log-probabilities, to sample."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from mpobench_llm.models.base_model import device, forget_base
from mpobench_llm.models.policy import Policy

if TYPE_CHECKING:
    from peft import LoraConfig


@contextmanager
def adapted(model: Any, lora: LoraConfig, weights: Mapping[str, torch.Tensor] | None) -> Iterator[Any]:
    """A base model with an adapter, which is removed at the end.

    Args:
        model: Model of :func:`~mpobench_llm.models.base_model.load_base`; it is changed in place.
        lora: Shape of the adapter.
        weights: Weights of the adapter; None keeps peft's initial ones, with which it changes nothing.
    """
    from peft import get_peft_model, set_peft_model_state_dict

    try:
        wrapped = get_peft_model(model, copy.copy(lora))  # a copy: peft writes the model's folder into it
    except BaseException:
        forget_base()  # half an adapter may be on it
        raise
    wrapped.peft_config["default"].base_model_name_or_path = None  # or checkpoints ask the hub about it
    try:
        if weights is not None:
            set_peft_model_state_dict(wrapped, dict(weights))
        yield wrapped
    finally:
        if model.is_activation_checkpointing:
            model.activation_checkpointing_disable()
            model.disable_input_require_grads()
        wrapped.unload()
        model.requires_grad_(False).eval()


@contextmanager
def acting(model: Any, policy: Policy) -> Iterator[Any]:
    """A base model as a policy, for inference. The adapter's weights get the precision of the model's."""
    if policy.lora is None:
        yield model.eval()
        return
    with adapted(model, policy.lora, policy.weights) as wrapped:
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:  # and nothing else: rotary embeddings need float32
                parameter.data = parameter.data.to(model.dtype)
        yield wrapped.eval()


@contextmanager
def merged(model: Any, policy: Policy) -> Iterator[Any]:
    """A base model as a policy, for sampling: on a CPU the adapter is added to the weights.

    An adapter's many small products take as long there as the model itself. At the end the weights come back bit by
    bit. On an accelerator the adapter stays apart: a copy of the weights would double the memory.
    """
    with acting(model, policy) as actor:
        if policy.lora is None or device().type != "cpu":
            yield actor
            return
        layers = [layer for layer in actor.modules() if hasattr(layer, "lora_A")]
        weights = [layer.get_base_layer().weight.detach().clone() for layer in layers]
        actor.merge_adapter()
        try:
            yield actor
        finally:
            for layer, weight in zip(layers, weights, strict=True):
                layer.get_base_layer().weight.data.copy_(weight)
                layer.merged_adapters.clear()
