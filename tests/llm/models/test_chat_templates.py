"""The chat template of base models, and system messages in templates that have no place for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hub_samples import says

from mpobench import RequestError
from mpobench_llm.models.chat_templates import ensure_chat_template, fold_system, takes_system


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny)


USER, YES, NO = says("user", "Shall I?"), says("assistant", "Yes."), says("assistant", "No.")
TALK = [says("system", "Be kind."), USER, NO, says("user", "And now?"), YES]


def test_a_base_model_gets_a_template_that_ends_answers(tokenizer):
    assert tokenizer.chat_template is None
    ensure_chat_template(tokenizer)
    prompt = tokenizer.apply_chat_template(TALK[:-1], add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template(TALK, tokenize=False)
    assert whole == prompt + "Yes.</s>"
    assert prompt == (
        "<s><|system|>\nBe kind.</s>\n<|user|>\nShall I?</s>\n<|assistant|>\nNo.</s>\n"
        "<|user|>\nAnd now?</s>\n<|assistant|>\n"
    )
    ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert ids.count(tokenizer.eos_token_id) == len(TALK)
    assert takes_system(tokenizer)


def test_a_template_without_a_beginning_of_sequence(tokenizer):
    tokenizer.bos_token = None
    ensure_chat_template(tokenizer)
    assert tokenizer.apply_chat_template([USER], tokenize=False) == "<|user|>\nShall I?</s>"


def test_a_tokenizer_keeps_its_own_template(tokenizer):
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    ensure_chat_template(tokenizer)
    assert tokenizer.apply_chat_template([USER], tokenize=False) == "Shall I?"


def test_a_tokenizer_that_cannot_end_an_answer_is_refused(tokenizer):
    tokenizer.eos_token = None
    with pytest.raises(RequestError, match="no eos_token"):
        ensure_chat_template(tokenizer)


REJECTING = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}
{%- endif %}{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"""
DROPPING = "{% for message in messages if message['role'] != 'system' %}{{ message['content'] }}{% endfor %}"


@pytest.mark.parametrize("template", [REJECTING, DROPPING])
def test_a_template_without_system_messages_gets_them_folded(tokenizer, template):
    tokenizer.chat_template = template
    assert not takes_system(tokenizer)
    text = tokenizer.apply_chat_template(fold_system(TALK), tokenize=False)
    assert "Be kind.\n\nShall I?" in text
    assert "And now?" in text


def test_folding_leaves_the_rest_as_it_is():
    before = json.dumps(TALK)
    assert fold_system(TALK) == [says("user", "Be kind.\n\nShall I?"), *TALK[2:]]
    assert fold_system(TALK[1:]) == TALK[1:]
    assert json.dumps(TALK) == before
