"""The end of an answer: the token that every completion ends in, and at which sampling stops."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from mpobench import RequestError
from mpobench_llm.models.chat_templates import render


@dataclass(frozen=True)
class EndOfTurn:
    """The end of an answer in one chat template.

    Attributes:
        written: All that the template writes after an answer.
        kept: The end of a completion: the beginning of ``written`` up to its first control token. Where there is none
            (GLM-4's template begins the user's next turn at once), the tokenizer's end of sequence comes last.
        token: Token that ``kept`` ends in; it is never part of a text.
    """

    written: str
    kept: str
    token: int


def end_of_turn(tokenizer: Any) -> EndOfTurn:
    """The end of an answer in a tokenizer's chat template.

    Raises:
        RequestError: If the template leaves answers out, or the end cannot be told from text.
    """
    return _end_of_turn(tokenizer, tokenizer.get_chat_template())


@functools.lru_cache(maxsize=8)
def _end_of_turn(tokenizer: Any, template: str) -> EndOfTurn:  # a part of the cache's key
    mark = "quince"
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": mark}]
    _, found, written = render(tokenizer, talk, answered=True).rpartition(mark)
    if not found:
        raise _refusal(tokenizer, "leaves answers out")
    places = [
        (written.find(text), -len(text), text) for text in _control_tokens(tokenizer) if text in written
    ]
    if places:
        at, _, text = min(places)
        kept = written[:at] + text
    else:
        text = tokenizer.eos_token
        kept = written.rstrip() + text
    token: int = tokenizer.convert_tokens_to_ids(text)
    if tokenizer(mark + kept, add_special_tokens=False)["input_ids"][-1] != token:
        raise _refusal(tokenizer, f"ends answers with {text}, which its tokenizer takes for plain text")
    return EndOfTurn(written, kept, token)


def _control_tokens(tokenizer: Any) -> set[str]:
    """Tokens that no text is made of: special ones, and added ones that look like marks, ``<|im_end|>``."""
    added = {token.content: token.special for token in tokenizer.added_tokens_decoder.values()}
    marks = {text for text, special in added.items() if special or (text[:1] + text[-1:] in ("<>", "[]"))}
    return {text for text in marks | set(tokenizer.all_special_tokens) if text.strip()}


def _refusal(tokenizer: Any, problem: str) -> RequestError:
    return RequestError(
        f"the chat template of {tokenizer.name_or_path} {problem}: give a model with another template"
    )
