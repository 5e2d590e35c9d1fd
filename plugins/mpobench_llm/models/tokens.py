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
from mpobench_llm.models.chat_templates import fold_system, takes_system
from mpobench_llm.models.preference_pair import Message, PreferencePair


@dataclass(frozen=True)
class Row:
    """A prompt and its completions, as token ids.

    Attributes:
        prompt: Tokens of the prompt, at least one.
        completions: Tokens of (chosen, rejected), or of the chosen one alone; each at least one token.
        index: Number of the pair in its dataset.
    """

    prompt: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]
    index: int = 0

    def __len__(self) -> int:
        """Number of tokens in memory."""
        return len(self.prompt) + sum(map(len, self.completions))


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Tokens of a conversation up to the beginning of the assistant's next message."""
    ids: list[int] = tokenizer(_render(tokenizer, messages), add_special_tokens=False)["input_ids"]
    return ids


def completion_ids(tokenizer: Any, messages: Sequence[Message], answer: str) -> list[int]:
    """Tokens of the assistant's next message with its end, as the chat template writes it.

    Raises:
        RequestError: If the template writes a conversation differently when an answer follows it.
    """
    before = _render(tokenizer, messages)
    whole = _render(tokenizer, [*messages, {"role": "assistant", "content": answer}], answered=True)
    if not whole.startswith(before):
        raise RequestError(
            f"the chat template of {tokenizer.name_or_path} changes a conversation when an answer follows it: "
            "completions cannot be told from prompts; give a model with another template"
        )
    prompt, conversation = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in (before, whole.rstrip())
    )
    if conversation[: len(prompt)] == prompt:
        completion: list[int] = conversation[len(prompt) :]
    else:  # a token spans the border, which a sampled completion never has
        completion = tokenizer(whole[len(before) :].rstrip(), add_special_tokens=False)["input_ids"]
    return completion


def _render(tokenizer: Any, messages: Sequence[Message], answered: bool = False) -> str:
    conversation = list(messages) if takes_system(tokenizer) else fold_system(messages)
    text: str = tokenizer.apply_chat_template(
        conversation, add_generation_prompt=not answered, tokenize=False
    )
    return text


def encode(tokenizer: Any, pair: PreferencePair, max_length: int, index: int = 0) -> Row:
    """The tokens of a pair, cut to a maximal length.

    A prompt longer than half of it keeps its end; a completion keeps its beginning.
    """
    prompt = prompt_ids(tokenizer, pair.prompt)
    completions = [completion_ids(tokenizer, pair.prompt, text) for text in (pair.chosen, pair.rejected)]
    if len(prompt) + max(map(len, completions)) > max_length:
        prompt = prompt[-(max_length // 2) :]
    room = max_length - len(prompt)
    return Row(tuple(prompt), tuple(tuple(ids[:room]) for ids in completions), index)
