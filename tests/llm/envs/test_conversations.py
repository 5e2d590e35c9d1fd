"""Rows as pairs: a conversation keeps its messages and their order in whatever columns it is written."""

from __future__ import annotations

from typing import Any

import pytest
from hub_samples import says
from hypothesis import given
from hypothesis import strategies as st

from mpobench_llm.envs.conversations import as_pair
from mpobench_llm.models.preference_pair import Message, PreferencePair

GREETING, USER = says("assistant", "Welcome."), says("user", "Shall I?")
YES, NO, SYSTEM = says("assistant", "Yes."), says("assistant", "No."), says("system", "Be brief.")
GREETED = (GREETING, USER)


def row(messages: list[Message], **columns: Any) -> dict[str, Any]:
    """A row whose sides are some messages and an answer."""
    return {"chosen": [*messages, YES], "rejected": [*messages, NO], **columns}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (row([GREETING, USER]), GREETED),
        (row([GREETING, USER], prompt="Shall I?"), GREETED),
        (row([GREETING, USER], prompt=" Shall I?\n"), GREETED),
        (row([GREETING, USER], prompt=[GREETING, USER]), GREETED),
        (row([GREETING, USER], prompt=[USER]), GREETED),
        (row([], prompt=[GREETING, USER]), GREETED),
        (row([GREETING, USER], prompt=[SYSTEM, GREETING, USER]), (SYSTEM, *GREETED)),
        (row([GREETING, USER], prompt="Shall I?", system="Be brief."), (SYSTEM, *GREETED)),
        (row([SYSTEM, GREETING, USER], prompt="Shall I?"), (SYSTEM, *GREETED)),
        (row([GREETING, USER], prompt="Hello?"), (says("user", "Hello?"), GREETING, USER)),
        (
            row([GREETING, USER], prompt=[SYSTEM, says("user", "Hi")]),
            (SYSTEM, says("user", "Hi"), GREETING, USER),
        ),
    ],
)
def test_a_conversation_that_opens_with_the_assistant_keeps_its_order(given, expected):
    assert as_pair(given) == PreferencePair(expected, "Yes.", "No.")


TEXTS = st.sampled_from(["Hi.", "Why?", "So.", "Tell me more.", "I see."])


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """System, greeting, turns: each may be there; a user's message comes last."""
    opening = [SYSTEM] if draw(st.booleans()) else []
    opening += [says("assistant", draw(TEXTS))] if draw(st.booleans()) else []
    turns = []
    for _ in range(draw(st.integers(0, 3))):
        turns += [says("user", draw(TEXTS)), says("assistant", draw(TEXTS))]
    return [*opening, *turns, says("user", draw(TEXTS))]


@given(conversations(), st.sampled_from(["whole", "answer", "text", "both", "both without system", "last"]))
def test_every_way_to_write_a_conversation_is_the_same_pair(messages, way):
    talk = messages[1:] if messages[0] == SYSTEM else messages
    written = {
        "whole": row(messages),
        "answer": row([], prompt=messages),
        "text": {"prompt": messages, "chosen": "Yes.", "rejected": "No."},
        "both": row(messages, prompt=messages),
        "both without system": row(talk, prompt=messages),
        "last": row(messages, prompt=messages[-1]["content"]),
    }
    assert as_pair(written[way]) == PreferencePair(tuple(messages), "Yes.", "No.")
