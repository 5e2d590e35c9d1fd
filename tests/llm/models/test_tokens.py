"""Rows of tokens: what each token sees, what is predicted from where, and how chat templates are cut."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hub_samples import says
from llm_samples import tiny_base

from mpobench import RequestError
from mpobench_llm.models.preference_pair import PreferencePair
from mpobench_llm.models.tokens import completion_ids, encode, prompt_ids


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
