"""The end of an answer, and the text of conversations, in templates of the public kinds."""

from __future__ import annotations

import copy
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chat_template_samples import ALTERNATING, DATES, ENDS, STRIPPED, with_template
from hub_samples import says
from hypothesis import given
from hypothesis import strategies as st
from llm_samples import tiny_base
from transformers.utils import chat_template_utils

from mpobench import RequestError
from mpobench_llm.generation.answering import end_tokens
from mpobench_llm.models.chat_templates import RefusedConversationError, render
from mpobench_llm.models.end_of_turn import end_of_turn
from mpobench_llm.models.preference_pair import Message
from mpobench_llm.models.tokens import completion_ids, prompt_ids

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20
).filter(lambda text: bool(text.strip()))
"""Texts of messages. Some hold white space at their ends, quotes, braces, or what looks like a mark."""


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Conversations up to an answer: perhaps a system message, then turns that alternate."""
    system = [says("system", draw(TEXTS))] if draw(st.booleans()) else []
    turns = [says("user", draw(TEXTS))]
    for _ in range(draw(st.integers(0, 2))):
        turns += [says("assistant", draw(TEXTS)), says("user", draw(TEXTS))]
    return system + turns


@pytest.fixture(scope="module")
def tokenizers(tiny: Path) -> dict[str, Any]:
    """A tokenizer with each template."""
    return {kind: with_template(tiny_base(tiny)[1], kind) for kind in ENDS}


@pytest.mark.parametrize("kind", ENDS)
@given(messages=conversations(), answer=TEXTS)
def test_a_completion_is_the_answer_and_its_end(tokenizers, kind, messages, answer):
    tokenizer = tokenizers[kind]
    end = tokenizer.convert_tokens_to_ids(ENDS[kind][1])
    prompt, completion = prompt_ids(tokenizer, messages), completion_ids(tokenizer, messages, answer)
    assert completion[-1] == end
    assert completion.count(end) == 1
    text = tokenizer.decode(completion[:-1])
    written = answer.strip() if kind in STRIPPED else answer
    assert text.removeprefix(" " if kind == "mistral" else "").removesuffix("\n\n") == written or (
        kind == "plain" and text == f"{written.rstrip()}"
    )
    shown = tokenizer.decode([*prompt, *completion])
    whole = render(tokenizer, [*messages, says("assistant", answer)], answered=True)
    assert whole.rstrip().startswith(shown.removesuffix(ENDS[kind][1]).rstrip())
    assert all(message["content"].strip() in whole for message in messages)


@pytest.mark.parametrize("kind", ENDS)
def test_ends_hold_no_content(tokenizers, tiny, kind):
    model, tokenizer = tiny_base(tiny)[0], tokenizers[kind]
    ends = end_tokens(model, tokenizer)
    assert ends == {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(ENDS[kind][1])}
    assert ends <= set(tokenizer.all_special_ids)
    assert end_of_turn(tokenizer).token in ends


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of chat templates, to be set."""
    clock = SimpleNamespace(day=datetime(2026, 1, 2))
    monkeypatch.setattr(chat_template_utils, "datetime", SimpleNamespace(now=lambda: clock.day))
    return clock


@pytest.mark.parametrize("kind", ENDS)
def test_tokens_are_the_same_on_every_day(tokenizers, today, kind):
    tokenizer, messages = tokenizers[kind], [says("system", "Be kind."), says("user", "Why?")]
    made = []
    for day in (datetime(2026, 1, 2), datetime(2031, 12, 30, 23, 59, 58)):
        today.day = day
        plain = tokenizer.apply_chat_template([messages[1]], tokenize=False)
        made.append((plain, prompt_ids(tokenizer, messages), completion_ids(tokenizer, messages, "So.")))
    assert (made[0][0] != made[1][0]) == (kind in DATES), "the clock is the one that templates ask"
    assert made[0][1:] == made[1][1:]


def test_the_day_is_that_of_llama_s_own_template(tokenizers):
    asked = [says("user", "Why?")]
    assert "Today Date: 26 Jul 2024\n" in render(tokenizers["llama"], asked)
    assert "Friday, 26 July 2024, 00:00:00" in render(tokenizers["dated"], asked)


@pytest.mark.parametrize("directive", "aAbBcdHIjmMpSUwWxXyYzZ%")
def test_every_directive_is_that_of_the_day(tokenizers, directive):
    tokenizer = copy.deepcopy(tokenizers["dated"])
    tokenizer.chat_template = "{{ strftime_now('%" + directive + "') }}{{ messages[-1].content }}"
    day = datetime(2024, 7, 26)
    assert day.strftime("%A") == "Friday"
    assert render(tokenizer, [says("user", "|")], answered=True) == day.strftime(f"%{directive}") + "|"


def test_a_model_that_thinks_is_asked_not_to(tokenizers):
    """Its prompts end behind an empty thought, so that a completion is an answer alone."""
    tokenizer, asked = tokenizers["qwen"], [says("user", "Why?")]
    assert render(tokenizer, asked).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert tokenizer.decode(completion_ids(tokenizer, asked, "So.")) == "So.<|im_end|>"


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize(
    "messages",
    [
        [says("user", "One."), says("user", "Two.")],
        [says("assistant", "Welcome."), says("user", "Hello.")],
    ],
)
def test_roles_that_do_not_alternate(tokenizers, kind, messages):
    tokenizer = tokenizers[kind]
    if kind not in ALTERNATING:
        assert completion_ids(tokenizer, messages, "Yes.")[-1] == end_of_turn(tokenizer).token
        return
    with pytest.raises(RefusedConversationError, match=r"refuses a conversation \(.*alternate") as error:
        completion_ids(tokenizer, messages, "Yes.")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ENDS)
def test_no_system_message_is_lost(tokenizers, kind):
    messages = [
        says("system", "Be kind."),
        says("user", "Why?"),
        says("assistant", "So."),
        says("user", "Oh?"),
    ]
    for answered in (False, True):
        talk = [*messages, says("assistant", "Yes.")] if answered else messages
        assert render(tokenizers[kind], talk, answered).count("Be kind.") == 1


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ messages[0].content }}", "leaves answers out"),
        ("{{ raise_exception('never') }}", r"refuses a conversation \(never\)"),
    ],
)
def test_a_template_that_cannot_end_an_answer_is_refused(tokenizers, template, said):
    tokenizer = copy.deepcopy(tokenizers["chatml"])
    tokenizer.chat_template = template
    with pytest.raises(RequestError, match=said):
        end_of_turn(tokenizer)
