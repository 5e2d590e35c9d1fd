"""Rows of tokens: what each token sees, what is predicted from where, and how chat templates are cut."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_samples import says
from hypothesis import given
from hypothesis import strategies as st
from llm_samples import tiny_base

from mpobench import RequestError
from mpobench_llm.models.batch import collate
from mpobench_llm.models.preference_pair import PreferencePair
from mpobench_llm.models.tokens import Row, completion_ids, encode, prompt_ids

SOME = st.lists(st.integers(3, 399), min_size=1, max_size=6).map(tuple)


def batches_of(sides: int) -> st.SearchStrategy[list[Row]]:
    return st.lists(
        st.builds(Row, SOME, st.tuples(*[SOME] * sides), st.integers(0, 99)), min_size=1, max_size=4
    )


@given(st.integers(1, 3).flatmap(batches_of), st.sampled_from([torch.float32, torch.bfloat16]))
def test_every_prediction_is_made_from_the_prompt_and_the_completion_so_far(rows, dtype):
    batch = collate(rows, dtype)
    ids, positions = batch.inputs["input_ids"], batch.inputs["position_ids"]
    seen = batch.inputs["attention_mask"][:, 0] == 0
    width = ids.shape[1]
    made = []
    for source, target, owner in zip(
        batch.sources.tolist(), batch.targets.tolist(), batch.owners.tolist(), strict=True
    ):
        row, at = divmod(source, width)
        visible = seen[row, at].nonzero()[:, 0]
        order = positions[row, visible].argsort()
        assert positions[row, visible][order].tolist() == list(range(len(order)))
        assert visible[order][-1] == at, "a token sees itself, last"
        made.append((owner, tuple(ids[row, visible[order]].tolist()), target))
    assert made == [
        (r * len(row.completions) + side, row.prompt + completion[:step], token)
        for r, row in enumerate(rows)
        for side, completion in enumerate(row.completions)
        for step, token in enumerate(completion)
    ]


@given(batches_of(2), st.sampled_from([torch.float32, torch.bfloat16]))
def test_the_mask(rows, dtype):
    """Tokens of the prompt and of padding too."""
    mask = collate(rows, dtype).inputs["attention_mask"]
    width = max(len(row) for row in rows)
    assert mask.shape == (len(rows), 1, width, width)
    assert mask.dtype == dtype
    assert set(mask.unique().tolist()) <= {0.0, torch.finfo(dtype).min}
    for r, row in enumerate(rows):
        parts = ["prompt"] * len(row.prompt)
        for side, completion in enumerate(row.completions):
            parts += [f"completion {side}"] * len(completion)
        parts += ["padding"] * (width - len(parts))
        for i, mine in enumerate(parts):
            for j, other in enumerate(parts):
                visible = j <= i and (other == mine or (other == "prompt" and mine != "padding"))
                assert (mask[r, 0, i, j] == 0) == visible


@given(batches_of(2))
def test_lengths_and_indices(rows):
    batch = collate(rows, torch.float32)
    assert batch.lengths.tolist() == [[len(side) for side in row.completions] for row in rows]
    assert batch.indices.tolist() == [row.index for row in rows]
    assert len(batch.sources) == len(batch.targets) == len(batch.owners) == int(batch.lengths.sum())


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    """With the plugin's template for base models; a copy, so that tests may set another one."""
    return copy.deepcopy(tiny_base(tiny)[1])


CONVERSATION = (
    says("system", "You are a patient teacher."),
    says("user", "What are tides?"),
    says("assistant", "Water that moves."),
    says("user", "Why?\n"),
)
FULL = PreferencePair(CONVERSATION, "Gladly: the moon pulls. ", "No.")


def test_prompt_and_completion_are_what_the_template_writes(tokenizer):
    row = encode(tokenizer, FULL)
    for completion, answer in zip(row.completions, (FULL.chosen, FULL.rejected), strict=True):
        whole = [*CONVERSATION, says("assistant", answer)]
        expected = tokenizer.apply_chat_template(whole, tokenize=False)
        assert tokenizer.decode([*row.prompt, *completion]) == expected
        assert tokenizer.decode(completion) == f"{answer}</s>"
        assert completion[-1] == tokenizer.eos_token_id, "the end of an answer is learnt with it"
    assert tokenizer.decode(row.prompt).endswith("<|assistant|>\n")
    assert row.prompt.count(tokenizer.bos_token_id) == 1


def test_an_empty_answer_is_an_end(tokenizer):
    assert completion_ids(tokenizer, CONVERSATION, "") == [tokenizer.eos_token_id]


def test_what_a_template_writes_after_the_end_is_no_part_of_an_answer(tokenizer):
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message.role + ': ' + message.content + eos_token + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    made = completion_ids(tokenizer, [says("user", "Why?")], "Because.")
    assert tokenizer.decode(made) == "Because.</s>"


def test_a_template_that_refuses_system_messages_gets_them_with_the_user_s(tokenizer):
    tokenizer.chat_template = (
        "{% for message in messages %}"
        "{% if message.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{{ '[' + message.role + ']' + message.content + eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    messages = CONVERSATION[:2]
    assert (
        tokenizer.decode(prompt_ids(tokenizer, messages))
        == "[user]You are a patient teacher.\n\nWhat are tides?</s>[assistant]"
    )
    assert tokenizer.decode(completion_ids(tokenizer, messages, "Water.")) == "Water.</s>"


def test_a_template_that_rewrites_the_conversation_is_refused(tokenizer):
    tokenizer.chat_template = (
        "{% if messages[-1].role == 'assistant' %}(answered){% endif %}"
        "{% for message in messages %}{{ message.role + ': ' + message.content }}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    with pytest.raises(RequestError, match=r"the chat template of .* changes a conversation") as error:
        encode(tokenizer, FULL)
    assert "\n" not in str(error.value)
