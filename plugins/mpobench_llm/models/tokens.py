"""Rows of tokens: a prompt and the completions that share it.

The chosen and the rejected completion have the same prompt, so a row holds it once. Both completions continue from its
last token, at the same positions, and neither sees the other. That is the same computation as two sequences, without
the second prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mpobench import RequestError
from mpobench_llm.models.chat_templates import render
from mpobench_llm.models.end_of_turn import end_of_turn
from mpobench_llm.models.preference_pair import Message, PreferencePair


@dataclass(frozen=True)
class Row:
    """A prompt and its completions, as token ids.

    Attributes:
        prompt: Tokens of the prompt, at least one.
        completions: Tokens of (chosen, rejected), or of the chosen one alone; each at least one token.
        index: Number of the row among those that are kept of its dataset.
    """

    prompt: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]
    index: int = 0

    def __len__(self) -> int:
        """Number of tokens in memory."""
        return len(self.prompt) + sum(map(len, self.completions))


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Tokens of a conversation up to the beginning of the assistant's next message.

    Raises:
        RefusedConversationError: If the chat template rejects it.
    """
    return _ids(tokenizer, render(tokenizer, messages))


def completion_ids(tokenizer: Any, messages: Sequence[Message], answer: str) -> list[int]:
    """Tokens of the assistant's next message as the chat template writes it, the last one its end of turn.

    Raises:
        RefusedConversationError: If the chat template rejects the conversation.
        RequestError: If it writes a conversation differently when an answer follows it.
    """
    before, end = render(tokenizer, messages), end_of_turn(tokenizer)
    whole = render(tokenizer, [*messages, {"role": "assistant", "content": answer}], answered=True)
    answered = whole.removesuffix(end.written)
    if not (whole.endswith(end.written) and answered.startswith(before)):
        raise RequestError(
            f"the chat template of {tokenizer.name_or_path} changes a conversation when an answer follows it: "
            "completions cannot be told from prompts; give a model with another template"
        )
    prompt, conversation = _ids(tokenizer, before), _ids(tokenizer, answered + end.kept)
    if conversation[: len(prompt)] == prompt:
        return conversation[len(prompt) :]
    # A token spans the border, which a sampled completion never has.
    return _ids(tokenizer, answered[len(before) :] + end.kept)


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def encode(tokenizer: Any, pair: PreferencePair) -> Row:
    """The tokens of a pair, whole.

    Raises:
        RefusedConversationError: If the chat template rejects the conversation.
        RequestError: If the template writes a conversation differently when an answer follows it.
    """
    prompt = prompt_ids(tokenizer, pair.prompt)
    completions = (completion_ids(tokenizer, pair.prompt, text) for text in (pair.chosen, pair.rejected))
    return Row(tuple(prompt), tuple(map(tuple, completions)))
