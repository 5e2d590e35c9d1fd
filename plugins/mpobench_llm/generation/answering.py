"""Answers of a policy: sampled tokens, and their text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mpobench import RequestError
from mpobench_llm.generation.answer import Answer
from mpobench_llm.generation.sampling import sample
from mpobench_llm.models.adapters import merged
from mpobench_llm.models.base_model import ModelSource, load_base
from mpobench_llm.models.end_of_turn import end_of_turn
from mpobench_llm.models.policy import Policy
from mpobench_llm.models.preference_pair import Message
from mpobench_llm.models.tokens import prompt_ids
from mpobench_llm.settings import SamplingSettings

DATA, EVALUATION, TRAINING = 0, 1, 2
"""Purposes of random streams: the first number of each stream's seed."""


class Sampled(NamedTuple):
    """An answer as it was sampled.

    Attributes:
        tokens: Tokens, including the end token if it has one.
        text: Their text, without special tokens.
    """

    tokens: tuple[int, ...]
    text: str


def evaluation_streams(seed: int, count: int) -> list[list[int]]:
    """Seeds of the random numbers of an evaluation's answers: policies of one seed draw the same."""
    return [[EVALUATION, seed, row] for row in range(count)]


def sample_answers(
    source: ModelSource,
    policy: Policy,
    conversations: Sequence[Sequence[Message]],
    streams: Sequence[Sequence[int]],
    sampling: SamplingSettings,
    batch: int,
    report: Callable[[float], None],
) -> list[Sampled]:
    """One answer to each conversation.

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
        sampled = sample(
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
    texts = tokenizer.batch_decode(sampled, skip_special_tokens=True)
    return [Sampled(tuple(tokens), text.strip()) for tokens, text in zip(sampled, texts, strict=True)]


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """The tokens that end an answer: the model's ends of a text, and the chat template's end of turn."""
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    ends = (*listed, tokenizer.eos_token_id, end_of_turn(tokenizer).token)
    return {token for token in ends if token is not None}


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
    streams = evaluation_streams(seed, len(conversations))
    sampled = sample_answers(source, policy, conversations, streams, sampling, batch, report)
    return [Answer(text, answer.text) for text, answer in zip(instructions, sampled, strict=True)]
