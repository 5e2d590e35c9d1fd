"""Comparisons in single precision: who asks does not decide what is found."""

from __future__ import annotations

import pytest
import torch
from llm_samples import WORDS
from transformers import LlamaConfig, LlamaForCausalLM

from mpobench_llm.generation.decoders import CachedDecoder, decoder_for
from mpobench_llm.models.exactness import in_single_precision


def small_model() -> LlamaForCausalLM:
    """A random model in bfloat16 whose logits differ much from word to word."""
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=WORDS, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        initializer_range=0.5,
    )  # fmt: skip
    return LlamaForCausalLM(shape).to(torch.bfloat16).eval()


@pytest.mark.parametrize("half", [False, True])
def test_a_cache_is_tried_in_single_precision_whoever_asks(half: bool) -> None:
    """Evaluations ask outside of autocast, the curve of KL within it."""
    model = small_model()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        assert decoder_for(model) is CachedDecoder


@torch.no_grad()
def test_products_are_in_single_precision_within_autocast() -> None:
    model, ids = small_model(), torch.arange(9)[None]
    expected = small_model().float()(ids).logits
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(ids).logits
        with in_single_precision(model) as exact:
            found = model(ids).logits
        assert torch.equal(model(ids).logits, rounded), "autocast goes on afterwards"
    assert exact
    assert not torch.allclose(rounded.float(), expected, rtol=0, atol=1e-2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
