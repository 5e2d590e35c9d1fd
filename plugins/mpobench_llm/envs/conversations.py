"""Rows of preference datasets as pairs of answers, in any of the schemas that are in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mpobench_llm.models.preference_pair import Message, PreferencePair
from mpobench_llm.row_counts import Reason

COLUMNS = ("system", "prompt", "chosen", "rejected")
"""Columns that are read, where they are there."""


class UnusableError(Exception):
    """A row that cannot be a pair."""

    def __init__(self, reason: Reason):
        super().__init__(reason)
        self.reason: Reason = reason


def as_pair(row: Mapping[str, Any]) -> PreferencePair:
    """The pair of a row with ``chosen`` and ``rejected``, and perhaps ``prompt`` and ``system``.

    Raises:
        UnusableError: If it is none.
    """
    chosen, rejected = _conversation(row, "chosen"), _conversation(row, "rejected")
    if chosen[:-1] != rejected[:-1]:
        raise UnusableError("prompts differ")
    if chosen[-1]["content"].strip() == rejected[-1]["content"].strip():
        raise UnusableError("equal answers")
    return PreferencePair(tuple(chosen[:-1]), chosen[-1]["content"], rejected[-1]["content"])


def _conversation(row: Mapping[str, Any], side: str) -> list[Message]:
    """The whole conversation, from the system's message to one of the two answers."""
    messages, prompt = _messages(row[side], "assistant"), _messages(row.get("prompt"), "user")
    if not messages:
        raise UnusableError("empty answer")
    if not _holds_prompt(messages, prompt):
        messages = prompt + messages
    if messages[0]["role"] != "system":  # messages that hold the prompt may lack its system message
        system = _messages(row.get("system"), "system")
        messages = (system or [message for message in prompt[:1] if message["role"] == "system"]) + messages
    if messages[-1]["role"] != "assistant":
        raise UnusableError("malformed messages")
    if not messages[-1]["content"].strip():
        raise UnusableError("empty answer")
    if len(messages) < 2 or messages[-2]["role"] != "user":
        raise UnusableError("no prompt")
    return messages


def _holds_prompt(messages: Sequence[Message], prompt: Sequence[Message]) -> bool:
    """Whether a side's messages are the whole conversation, not the answer alone.

    They are if they begin with the system or the user, whatever the prompt's column says. If they begin with the
    assistant, they are if the prompt is among them: some conversations open with a greeting.
    """
    if messages[0]["role"] != "assistant":
        return True
    asked = [_plain(message) for message in prompt if message["role"] != "system"]
    before = [_plain(message) for message in messages[:-1]]
    return bool(asked) and any(
        before[at : at + len(asked)] == asked for at in range(len(before) - len(asked) + 1)
    )


def _plain(message: Message) -> tuple[str, str]:
    return message["role"], message["content"].strip()


def _messages(value: Any, role: str) -> list[Message]:
    """The messages of a cell. Text is one message of that role; no text or blank text is no message."""
    if value is None or isinstance(value, str):
        return [{"role": role, "content": value}] if value and value.strip() else []
    try:
        messages: list[Message] = [{"role": cell["role"], "content": cell["content"]} for cell in value]
    except (TypeError, KeyError):
        raise UnusableError("malformed messages") from None
    for message in messages:
        if message["role"] not in ("system", "user", "assistant") or not isinstance(message["content"], str):
            raise UnusableError("malformed messages")
    return messages
