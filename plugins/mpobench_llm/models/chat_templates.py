"""Chat templates: a default one for base models, and system messages for templates without them."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from importlib import resources
from typing import Any

from mpobench import RequestError
from mpobench_llm.models.preference_pair import Message


def ensure_chat_template(tokenizer: Any) -> None:
    """Gives the template in ``chat_template.jinja`` to a tokenizer without one, as base models have.

    Args:
        tokenizer: Tokenizer of transformers. One that has a template keeps it.

    Raises:
        RequestError: If the tokenizer has no end-of-sequence token to end an answer with.
    """
    if tokenizer.eos_token is None:
        raise RequestError(
            f"the tokenizer of {tokenizer.name_or_path} has no eos_token, so answers cannot end; "
            "set one in its tokenizer_config.json"
        )
    if not tokenizer.chat_template:
        file = resources.files("mpobench_llm.models") / "chat_template.jinja"
        tokenizer.chat_template = file.read_text("utf-8")


@functools.lru_cache(maxsize=8)
def takes_system(tokenizer: Any) -> bool:
    """Whether the tokenizer's chat template renders system messages. Some reject them, some leave them out."""
    from jinja2 import TemplateError

    mark = "quince"
    try:
        text = tokenizer.apply_chat_template(
            [{"role": "system", "content": mark}, {"role": "user", "content": "hi"}], tokenize=False
        )
    except TemplateError:
        return False
    return mark in text


def fold_system(messages: Iterable[Message]) -> list[Message]:
    """Puts each system message in front of the user's next message, for templates without system messages.

    Args:
        messages: Conversation; it is not changed.

    Returns:
        The conversation without system messages, except one that no user's message follows.
    """
    folded: list[Message] = []
    for message in messages:
        if message["role"] == "user" and folded and folded[-1]["role"] == "system":
            system = folded.pop()["content"]
            folded.append({**message, "content": f"{system}\n\n{message['content']}"})
        else:
            folded.append(message)
    return folded
