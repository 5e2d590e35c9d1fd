"""Answers of a policy: sampled tokens, and their text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mpobench import RequestError
from mpobench_llm.generation.answer import Answer
from mpobench_llm.generation.sampling import sample
from mpobench_llm.models.adapters import merged
from mpobench_llm.models.base_model import ModelSource, load_base, load_tokenizer
from mpobench_llm.models.end_of_turn import end_of_turn
from mpobench_llm.models.policy import Policy
from mpobench_llm.models.preference_pair import Message
from mpobench_llm.models.tokens import prompt_ids
from mpobench_llm.settings import SamplingSettings

DATA, EVALUATION, TRAINING = 0, 1, 2
"""Purposes of random streams: the first number of each stream's seed."""


def sample_answers(
    source: ModelSource,
    policy: Policy,
    conversations: Sequence[Sequence[Message]],
    streams: Sequence[Sequence[int]],
    sampling: SamplingSettings,
    batch: int,
    report: Callable[[float], None],
) -> list[list[int]]:
    """The tokens of one answer to each conversation.

    Args:
        source: Place of the base model.
        policy: Policy that answers.
        conversations: Messages up to the answer.
        streams: Seed of each answer's random numbers.
        sampling: Temperature and length. An answer ends before the model's positions do.
        batch: Number of answers sampled at once.
        report: Function of the fraction that is done.

    Raises:
        RequestError: If a prompt leaves no position for an answer.
    """
    model, tokenizer = load_base(source)
    prompts = [prompt_ids(tokenizer, messages) for messages in conversations]
    longest, limit = max(map(len, prompts), default=0), source.positions
    if limit is not None and longest >= limit:
        raise RequestError(
            f"{source.name} has {limit} positions, and a prompt has {longest} tokens: shorten it, or leave it out"
        )
    with merged(model, policy) as actor:
        return sample(
            actor,
            prompts,
            streams,
            ends=end_tokens(model, tokenizer),
            positions=limit,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            batch=batch,
            report=report,
        )


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """The tokens that end an answer: the model's ends of a text, and the chat template's end of turn."""
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    ends = (*listed, tokenizer.eos_token_id, end_of_turn(tokenizer).token)
    return {token for token in ends if token is not None}


def text_of(tokenizer: Any, tokens: Sequence[int]) -> str:
    """The text of an answer, without special tokens."""
    text: str = tokenizer.decode(tokens, skip_special_tokens=True)
    return text.strip()


def answers(
    source: ModelSource,
    policy: Policy,
    instructions: Sequence[str],
    seed: int,
    sampling: SamplingSettings,
    batch: int,
    report: Callable[[float], None],
) -> list[Answer]:
    """One answer to each instruction.

    Args:
        source: Place of the base model.
        policy: Policy that answers.
        instructions: Messages of the user.
        seed: Seed of the evaluation. Policies of one seed draw the same random numbers.
        sampling: Temperature and length.
        batch: Number of answers sampled at once.
        report: Function of the fraction that is done.
    """
    conversations = [[{"role": "user", "content": text}] for text in instructions]
    streams = [[EVALUATION, seed, i] for i in range(len(conversations))]
    sampled = sample_answers(source, policy, conversations, streams, sampling, batch, report)
    tokenizer = load_tokenizer(source.location, source.revision)
    return [
        Answer(text, text_of(tokenizer, tokens)) for text, tokens in zip(instructions, sampled, strict=True)
    ]
