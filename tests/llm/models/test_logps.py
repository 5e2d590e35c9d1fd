"""Log-probabilities of packed and padded rows against plain transformers and double precision."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
import transformers
from llm_samples import WORDS, all_plain_logps, random_rows, tiny_base
from peft import LoraConfig
from transformers import AutoModelForCausalLM

from mpobench import RequestError
from mpobench_llm.models import head as heads
from mpobench_llm.models.adapters import adapted
from mpobench_llm.models.batch import collate
from mpobench_llm.models.head import Head, headless, token_logps
from mpobench_llm.models.logps import all_logps, sequence_logps

SHAPE = {
    "vocab_size": WORDS,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
}


def made(family: str, **config: Any) -> Any:
    """A random model; its weights are large enough for probabilities to differ."""
    torch.manual_seed(0)
    shape = getattr(transformers, f"{family}Config")(
        **{**SHAPE, "initializer_range": 0.3, "pad_token_id": 0, **config}
    )
    shape._attn_implementation = "eager"
    return getattr(transformers, f"{family}ForCausalLM")(shape).eval().requires_grad_(False)


LAYOUTS = pytest.mark.parametrize("layout", ["packed", "apart"])


@LAYOUTS
@pytest.mark.parametrize("family", ["Llama", "Gemma", "Mistral"])
def test_rows_have_the_log_probabilities_of_each_sequence_alone(family, layout):
    model, rows = made(family), random_rows(7)
    expected = all_plain_logps(model, rows)
    assert expected.std() > 1
    with headless(model) as head:
        together = sequence_logps(model, head, collate(rows, torch.float32, layout))
        sorted_and_batched = all_logps(model, head, rows, batch=3)
    assert together.dtype == torch.float32
    torch.testing.assert_close(together.double(), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(sorted_and_batched.double(), expected, rtol=0, atol=1e-4)


@LAYOUTS
def test_as_the_plugin_loads_it_and_as_anyone_does(tiny, layout):
    """Eager attention with a mask of ours, against transformers' defaults."""
    rows = random_rows(5, seed=1)
    expected = all_plain_logps(AutoModelForCausalLM.from_pretrained(tiny).eval(), rows)
    model, _ = tiny_base(tiny)
    with headless(model) as head:
        found = sequence_logps(model, head, collate(rows, torch.float32, layout))
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-4)


@LAYOUTS
def test_rows_have_the_gradients_of_plain_autograd(layout):
    """With respect to the adapter, through all layers and a loss that weighs every completion differently."""
    model, rows = made("Llama"), random_rows(5, seed=2)
    weighing = torch.linspace(-1, 2, 10).view(5, 2)
    lora = LoraConfig(
        r=3, lora_alpha=6, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
    )
    with adapted(model, lora, None) as wrapped:
        names, trained = zip(
            *[(name, each) for name, each in wrapped.named_parameters() if each.requires_grad], strict=True
        )
        plain = (all_plain_logps(wrapped, rows) * weighing).sum()
        expected = torch.autograd.grad(plain, trained)
        with headless(model) as head:
            ours = (sequence_logps(wrapped, head, collate(rows, torch.float32, layout)) * weighing).sum()
            found = torch.autograd.grad(ours, trained)
    assert any("lora_A" in name for name in names)
    for name, mine, other in zip(names, found, expected, strict=True):
        assert other.abs().max() > 0, name
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()), msg=name)


def value_and_gradient(hidden: torch.Tensor, head: Head, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
    hidden = hidden.clone().requires_grad_()
    found = token_logps(hidden, head, targets)
    (slope,) = torch.autograd.grad((found * torch.arange(1, len(found) + 1)).sum(), hidden)
    return found.detach(), slope


def in_double(hidden: torch.Tensor, head: Head, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
    hidden = hidden.double().requires_grad_()
    logits = hidden @ head.weight.double().T + (0 if head.bias is None else head.bias.double())
    if head.cap is not None:
        logits = head.cap * torch.tanh(logits / head.cap)
    found = logits.log_softmax(-1)[torch.arange(len(targets)), targets]
    (slope,) = torch.autograd.grad((found * torch.arange(1, len(found) + 1)).sum(), hidden)
    return found.detach(), slope


def random_head(generator: torch.Generator, **more: Any) -> Head:
    return Head(torch.randn(50, 8, generator=generator), **more)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e3, 1e6])
def test_extreme_states(scale):
    generator = torch.Generator().manual_seed(3)
    hidden = scale * torch.randn(6, 8, generator=generator)
    head, targets = random_head(generator), torch.arange(6)
    ours, plain = value_and_gradient(hidden, head, targets), in_double(hidden, head, targets)
    for mine, other in zip(ours, plain, strict=True):
        assert mine.isfinite().all()
        torch.testing.assert_close(mine.double(), other, rtol=1e-4, atol=1e-4)
    assert (ours[0] <= 0).all()
    if scale == 0:
        torch.testing.assert_close(ours[0], torch.full((6,), -math.log(50)))


def test_half_precision():
    """Products are rounded, sums of exponentials are not."""
    generator = torch.Generator().manual_seed(4)
    hidden, head = torch.randn(6, 8, generator=generator), random_head(generator)
    half, targets = Head(head.weight.bfloat16()), torch.arange(6)
    exact = in_double(hidden.bfloat16(), half, targets)
    found, slope = value_and_gradient(hidden, half, targets)
    assert found.dtype == torch.float32
    assert slope.dtype == hidden.dtype
    torch.testing.assert_close(found.double(), exact[0], rtol=0, atol=0.05)
    torch.testing.assert_close(slope.double(), exact[1], rtol=0.05, atol=0.1)


@pytest.mark.parametrize("cap", [None, 0.5, 4.0, 1e3])
@pytest.mark.parametrize("biased", [False, True])
def test_caps_and_biases_of_logits(cap, biased):
    generator = torch.Generator().manual_seed(5)
    bias = torch.randn(50, generator=generator) if biased else None
    head, targets = random_head(generator, bias=bias, cap=cap), torch.arange(6)
    hidden = 2 * torch.randn(6, 8, generator=generator)
    ours, plain = value_and_gradient(hidden, head, targets), in_double(hidden, head, targets)
    assert plain[1].abs().max() > 1e-2
    for mine, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine.double(), other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cap", [None, 3.0])
@pytest.mark.parametrize("positions", [1, 2, 3, 4, 6, 7])
def test_chunks_change_nothing(monkeypatch, positions, cap):
    generator = torch.Generator().manual_seed(positions)
    hidden, head = torch.randn(positions, 8, generator=generator), random_head(generator, cap=cap)
    targets = torch.randint(50, (positions,), generator=generator)
    whole = value_and_gradient(hidden, head, targets)
    monkeypatch.setattr(heads, "CHUNK", 3)
    for mine, other in zip(value_and_gradient(hidden, head, targets), whole, strict=True):
        torch.testing.assert_close(mine, other)


def test_the_head_comes_back(tiny):
    model, _ = tiny_base(tiny)
    head, ids = model.get_output_embeddings(), torch.tensor([[1, 2, 3]])
    logits = model(ids).logits
    with headless(model) as ours:
        assert ours.weight is head.weight
        states = model(ids).logits
        torch.testing.assert_close(states @ ours.weight.T, logits)
    assert model.get_output_embeddings() is head
    assert torch.equal(model(ids).logits, logits)
    with pytest.raises(ZeroDivisionError), headless(model):
        raise ZeroDivisionError
    assert model.get_output_embeddings() is head


HEADS = pytest.mark.parametrize(
    ("family", "config"),
    [
        ("Gemma2", {"final_logit_softcapping": 3.0}),
        ("Gemma2", {"final_logit_softcapping": None}),
        ("Cohere", {"logit_scale": 0.0625}),
        ("Granite", {"logits_scaling": 8.0}),
        ("Phi", {}),
    ],
)
"""Logits that are capped, not capped, multiplied, divided, and that have a bias."""


@HEADS
def test_heads_that_are_more_than_a_matrix(family, config):
    model, rows = made(family, **config), random_rows(3)
    if family == "Phi":
        model.lm_head.bias.normal_(generator=torch.Generator().manual_seed(0))
    before, expected = copy.deepcopy(model.config), all_plain_logps(model, rows)
    with headless(model) as head:
        found = all_logps(model, head, rows, 3)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-4)
    assert model.config.to_dict() == before.to_dict()
    assert torch.equal(all_plain_logps(model, rows), expected)


def test_a_head_of_another_kind_is_refused():
    model = made("Llama")
    model.lm_head.register_forward_hook(lambda module, inputs, logits: logits**3)
    head = model.get_output_embeddings()
    with (
        pytest.raises(
            RequestError, match=r"^this model \(llama\) has a head of its own kind, .*: choose"
        ) as refusal,
        headless(model),
    ):
        pass
    assert "\n" not in str(refusal.value)
    assert model.get_output_embeddings() is head
