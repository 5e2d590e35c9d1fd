"""Every causal family of transformers: log-probabilities and answers are those of plain forward passes, or refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from llm_samples import all_plain_logps, random_rows
from model_families import WINDOW, families, small_model

from mpobench import RequestError
from mpobench_llm.generation.decoders import CachedDecoder, decoder_for
from mpobench_llm.generation.sampling import sample
from mpobench_llm.models.head import headless
from mpobench_llm.models.layouts import layout_for
from mpobench_llm.models.logps import all_logps
from mpobench_llm.models.tokens import Row

ROWS = random_rows(6, longest=24)
ANSWERS = {"max_tokens": 8, "temperature": 0.0, "batch": 3}


def logps(model: Any, rows: list[Row]) -> torch.Tensor:
    with headless(model) as head:
        return all_logps(model, head, rows, 4)


def greedy(model: Any, prompt: tuple[int, ...], ends: set[int]) -> list[int]:
    """By plain forward passes."""
    sequence = list(prompt)
    for _ in range(ANSWERS["max_tokens"]):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([sequence]), use_cache=False).logits
        sequence.append(int(logits[0, -1].argmax()))
        if sequence[-1] in ends:
            break
    return sequence[len(prompt) :]


def generated(model: Any, prompt: tuple[int, ...], ends: set[int]) -> list[int]:
    """By transformers' own greedy search."""
    tokens = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        max_new_tokens=ANSWERS["max_tokens"],
        eos_token_id=sorted(ends),
        pad_token_id=0,
    )
    answer: list[int] = tokens[0, len(prompt) :].tolist()
    return answer


def examine(model: Any) -> str:
    """The layout of a model that is right in everything, after the examination."""
    assert max(len(row.prompt) + max(map(len, row.completions)) for row in ROWS) > 3 * WINDOW
    with torch.no_grad():
        expected = all_plain_logps(model, ROWS)
    lengths = torch.tensor([[len(side) for side in row.completions] for row in ROWS])
    found = logps(model, ROWS)
    error = ((found - expected) / lengths).abs().max()
    assert error < 1e-4, f"log-probabilities are off by {error:.1g} nats a token"
    swapped = logps(model, [Row(row.prompt, row.completions[::-1], row.index) for row in ROWS]).flip(1)
    error = ((found - swapped) / lengths).abs().max()
    assert error < 1e-4, f"the other side moves a token by {error:.1g} nats"
    prompts = [row.prompt for row in ROWS]
    endless = [token for prompt in prompts for token in greedy(model, prompt, set())[1:-1]]
    ends = {max(set(endless), key=endless.count)}
    answers = [greedy(model, prompt, ends) for prompt in prompts]
    streams = [[row] for row in range(len(prompts))]
    assert sample(model, prompts, streams, ends=ends, **ANSWERS) == answers, (
        "other answers than greedy search"
    )
    with headless(model) as head:
        return layout_for(model, head)


@pytest.mark.parametrize(
    ("family", "changes", "layout", "cached"),
    [
        ("llama", {}, "packed", True),
        ("olmoe", {}, "packed", True),
        ("mistral", {}, "apart", True),
        ("gemma3_text", {}, "apart", True),
        ("gpt_oss", {}, "apart", True),
        ("lfm2", {"layer_types": ["conv", "full_attention"] * 2}, "apart", True),
        ("jamba", {}, "apart", True),
        ("mamba", {}, "apart", True),
        ("rwkv", {}, "apart", False),
        ("bloom", {}, "apart", True),
        ("falcon", {"alibi": True}, "apart", True),
        ("roberta", {}, "apart", False),
    ],
)
def test_kinds_of_families(family, changes, layout, cached):
    """Plain attention, experts, windows, convolutions, states, ALiBi, positions that are counted inside."""
    model = small_model(family, changes)
    assert examine(model) == layout
    assert (decoder_for(model) is CachedDecoder) == cached


@pytest.mark.parametrize("family", ["deepseek_v32", "xlnet", "recurrent_gemma"])
def test_what_cannot_be_right_is_refused_in_one_line(family):
    """A choice of keys that padding disturbs, a model that is not causal, a head of its own kind."""
    with pytest.raises(RequestError, match=rf"^this model \({family}\) [^\n]*: choose another model"):
        logps(small_model(family), ROWS)


PARTS, UNBUILT, REFUSED = 8, 6, 4
"""Parts of the sweep, and how many families in each may be too hard to build, or be refused."""


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_family_is_right_or_refused(part):
    unbuilt, refused, wrong, right = {}, {}, {}, {}
    for family in families()[part::PARTS]:
        model = small_model(family)
        if isinstance(model, str):
            unbuilt[family] = model
            continue
        try:
            right[family] = examine(model)
        except RequestError as refusal:
            refused[family] = str(refusal)
        except Exception as error:  # noqa: BLE001  # all of them are told in the end
            wrong[family] = f"{type(error).__name__}: {error}"[:300]
    print(f"{right=}\n{refused=}\n{unbuilt=}")
    assert not wrong
    assert not any("\n" in refusal for refusal in refused.values())
    assert len(unbuilt) <= UNBUILT, unbuilt
    assert len(refused) <= REFUSED, refused
    assert {"packed", "apart"} == set(right.values())
