"""Adapters on the base model for a while: to train, to compute log-probabilities, to sample."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from mpobench_llm.models.base_model import device, forget_base
from mpobench_llm.models.exactness import in_single_precision
from mpobench_llm.models.policy import Policy

if TYPE_CHECKING:
    from peft import LoraConfig


@contextmanager
def adapted(model: Any, lora: LoraConfig, weights: Mapping[str, torch.Tensor] | None) -> Iterator[Any]:
    """A base model with an adapter, which is removed at the end.

    peft would cast the inputs of an adapter to float32, the type of its weights, and autocast, under which a model in
    half precision is trained, would cast them back: the same products, a tenth slower. So it does not, unless there is
    dropout in between, which rounds.

    Args:
        model: Model of :func:`~mpobench_llm.models.base_model.load_base`; it is changed in place.
        lora: Shape of the adapter.
        weights: Weights of the adapter; None keeps peft's initial ones, with which it changes nothing.
    """
    from peft import get_peft_model, set_peft_model_state_dict
    from peft.helpers import disable_input_dtype_casting

    try:
        wrapped = get_peft_model(model, copy.deepcopy(lora))  # a copy: peft writes into it
    except BaseException:
        forget_base()  # half an adapter may be on it
        raise
    wrapped.peft_config["default"].base_model_name_or_path = None  # or checkpoints ask the hub about it
    try:
        if weights is not None:
            set_peft_model_state_dict(wrapped, dict(weights))
        with disable_input_dtype_casting(wrapped, active=not lora.lora_dropout):
            yield wrapped
    finally:
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
    """A base model as a policy, for sampling: on a CPU the adapter is added to the weights, in float32.

    An adapter's many small products take longer there than the model itself: of SmolLM2 with rank 128, four times as
    long as the merged model in float32. In half precision a change that is smaller than a weight's last digit, as that
    of a short training, would be rounded away, and the answers would be another policy's. At the end the weights come
    back bit by bit. Of a large model in half precision, and on an accelerator, the adapter stays apart: a copy of the
    weights would take too much memory.
    """
    with acting(model, policy) as actor:
        if policy.lora is None or device().type != "cpu":
            yield actor
            return
        with in_single_precision(actor) as exact:
            if not exact:
                yield actor
                return
            layers = [layer for layer in actor.modules() if hasattr(layer, "lora_A")]
            weights = [(_adapted_weight(layer), _adapted_weight(layer).detach().clone()) for layer in layers]
            actor.merge_adapter()
            try:
                yield actor
            finally:
                for weight, before in weights:
                    weight.data.copy_(before)
                for layer in layers:
                    layer.merged_adapters.clear()


def _adapted_weight(layer: Any) -> torch.Tensor:
    """The weight of the base model to which a layer of peft's adds: of a module, or of experts in one tensor."""
    weight: torch.Tensor = layer.get_param() if hasattr(layer, "get_param") else layer.get_base_layer().weight
    return weight


def with_experts(lora: LoraConfig, model: Any) -> LoraConfig:
    """An adapter's shape that reaches the experts of a mixture, too.

    transformers holds the experts of a layer in one tensor, ``(experts, inputs, outputs)``, which is no linear layer.
    peft cannot drop the inputs of such a tensor's adapter, so an adapter of a mixture has no dropout.
    """
    names = {
        re.sub(r".*\.\d+\.", "", f"{path}.{name}")
        for path, module in model.named_modules()
        if "expert" in f"{path}.{type(module).__name__}".lower()
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.ndim == 3 and not isinstance(module, torch.nn.Conv1d)
    }
    if not names:
        return lora
    reaching = copy.copy(lora)
    reaching.target_parameters, reaching.lora_dropout = sorted(names), 0.0
    return reaching


@contextmanager
def recomputing(model: Any) -> Iterator[None]:
    """Lets the backward pass compute the activations of each layer again.

    transformers' own way does so in training mode alone, in which a model may drop activations.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    for layer in layers:
        layer.forward = functools.partial(checkpoint, layer.forward, use_reentrant=False)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
