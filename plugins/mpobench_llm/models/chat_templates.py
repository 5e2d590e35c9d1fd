"""Conversations as a chat template writes them: the same text on every day, with or without system messages.

Chat templates are Jinja programs of many hands. Some write today's date, some begin a thought, some reject system
messages or lose them once an answer follows, some base models have none.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from mpobench import RequestError
from mpobench_llm.models.preference_pair import Message

_DIRECTIVES = {
    "%Y": "2024", "%y": "24", "%B": "July", "%b": "Jul", "%h": "Jul", "%-m": "7", "%m": "07", "%-d": "26",
    "%d": "26", "%e": "26", "%A": "Friday", "%a": "Fri", "%u": "5", "%w": "5", "%-j": "208", "%j": "208",
    "%U": "29", "%W": "30", "%V": "30", "%G": "2024", "%-H": "0", "%H": "00", "%-I": "12", "%I": "12", "%p": "AM",
    "%-M": "0", "%M": "00", "%-S": "0", "%S": "00", "%f": "000000", "%s": "1721952000", "%z": "", "%Z": "",
    "%F": "2024-07-26", "%D": "07/26/24", "%x": "07/26/24", "%T": "00:00:00", "%X": "00:00:00", "%R": "00:00",
    "%c": "Fri Jul 26 00:00:00 2024", "%%": "%",
}  # fmt: skip
"""26 July 2024 by the directives of strftime: the day of Llama 3's own template where it cannot ask for one."""

_PIN = "{%- macro strftime_now(format='%c') -%}{{ format" + "".join(
    f" | replace('{directive}', '{value}')" for directive, value in _DIRECTIVES.items()
) + " }}{%- endmacro %}\n"  # the newline is the macro's: transformers trims the first one after a block  # fmt: skip

_VARIABLES = {"enable_thinking": False, "thinking": False}
"""Variables by which templates of models that think leave the thought out: answers of preference data have none."""


class RefusedConversationError(RequestError):
    """A conversation that the chat template rejects: roles that do not alternate, say."""


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


def render(tokenizer: Any, messages: Sequence[Message], answered: bool = False) -> str:
    """The text of a conversation.

    Args:
        tokenizer: Tokenizer with a chat template.
        messages: Conversation. System messages join the user's where the template has no place for them.
        answered: Whether it ends with an answer, not with the beginning of the assistant's next message.

    Raises:
        RefusedConversationError: If the template rejects it.
    """
    from jinja2 import TemplateError

    conversation = list(messages) if takes_system(tokenizer) else fold_system(messages)
    try:
        return _apply(tokenizer, conversation, answered)
    except TemplateError as error:
        reason = " ".join(str(error).split())
        raise RefusedConversationError(
            f"the chat template of {tokenizer.name_or_path} refuses a conversation ({reason}): "
            "change its messages, or take a model with another template"
        ) from None


def _apply(tokenizer: Any, messages: Sequence[Message], answered: bool) -> str:
    template = tokenizer.get_chat_template()
    text: str = tokenizer.apply_chat_template(
        list(messages),
        chat_template=_PIN + template if "strftime_now" in template else template,
        add_generation_prompt=not answered,
        tokenize=False,
        **_VARIABLES,
    )
    return text


def takes_system(tokenizer: Any) -> bool:
    """Whether the tokenizer's chat template writes system messages, and goes on to when an answer follows.

    Some reject them, some leave them out, and Mistral's writes them only as long as the user's message is the last one.
    """
    return _takes_system(tokenizer, tokenizer.get_chat_template())


@functools.lru_cache(maxsize=8)
def _takes_system(tokenizer: Any, template: str) -> bool:  # a part of the cache's key
    from jinja2 import TemplateError

    mark = "quince"
    asked = [{"role": "system", "content": mark}, {"role": "user", "content": "hi"}]
    try:
        texts = [
            _apply(tokenizer, asked, answered=False),
            _apply(tokenizer, [*asked, {"role": "assistant", "content": "ho"}], answered=True),
        ]
    except TemplateError:
        return False
    return all(mark in text for text in texts)


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
