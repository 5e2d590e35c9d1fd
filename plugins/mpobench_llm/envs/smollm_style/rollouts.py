"""The pool of answers: every agent answers once, and every corruption picks its pairs from the same answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from mpobench import Workspace
from mpobench.env_kit.env_file import Settings
from mpobench.files import locks
from mpobench.files.atomic import write_atomically
from mpobench_llm.envs.smollm_style import rules
from mpobench_llm.envs.smollm_style.configuration import ROLES, Block, StyleConfiguration
from mpobench_llm.generation.answering import DATA, Sampled, evaluation_streams, sample_answers
from mpobench_llm.models.base_model import ModelSource, load_base, load_tokenizer
from mpobench_llm.models.head import headless
from mpobench_llm.models.lengths import Bound, Fitted, fit
from mpobench_llm.models.logps import all_logps
from mpobench_llm.models.policy import Policy
from mpobench_llm.models.tokens import Row, prompt_ids
from mpobench_llm.row_counts import Reason

if TYPE_CHECKING:
    from mpobench.protocols import Scale
    from mpobench_llm.models.preference_pair import Message


class Rollout(Settings):
    """An answer.

    Attributes:
        prompt: Question of the user.
        tokens: Tokens of the answer, including its end token if it has one.
        text: Text of the answer.
        mean_logp: Mean log-probability of the tokens under the untrained model with the plain prompt, in nats.
    """

    prompt: str
    tokens: tuple[int, ...]
    text: str
    mean_logp: float


_POOL = TypeAdapter(list[Rollout])

_SCORED = 16
"""Number of answers of the pool whose log-probabilities are computed at once: of no scale, as the pool is."""


def read_block(env: StyleConfiguration, block: Block, workspace: Workspace) -> list[Rollout]:
    """A block of the pool: read from the cache, or sampled and kept there."""
    file = workspace.cache / env.block_path(block)
    locks.once(file, lambda: write_atomically(file, _POOL.dump_json(_sample_block(env, block, workspace))))
    return _POOL.validate_json(file.read_bytes())


def _sample_block(env: StyleConfiguration, block: Block, workspace: Workspace) -> list[Rollout]:
    prompts = env.selected_prompts(block.purpose, block.first, block.count)
    role = ROLES.index(block.role)
    purpose = ("data", "held-out").index(block.purpose)
    streams = [
        [DATA, purpose, role, block.draw, row] for row in range(block.first, block.first + block.count)
    ]
    ask = rules.instructed if block.role == "target" else rules.plain

    def report(fraction: float) -> None:
        workspace.report("answers", fraction)

    return _roll_out(env, Policy(), prompts, ask, streams, (block.count, _SCORED), workspace, report)


def evaluation_rollouts(
    env: StyleConfiguration, policy: Policy, seed: int, scale: Scale, workspace: Workspace
) -> list[Rollout]:
    """A policy's answers to the held-out prompts.

    Args:
        env: Environment.
        policy: Policy that answers.
        seed: Seed of the sampling. Policies of one seed draw the same random numbers.
        scale: Scale, which decides the number of answers.
        workspace: Cache with the model, and progress reports.
    """
    settings = env.evaluation_settings(scale)
    prompts = env.selected_prompts("held-out", 0, settings.answers)
    streams, batches = evaluation_streams(seed, len(prompts)), (settings.batch, settings.answers_per_batch)

    def report(fraction: float) -> None:
        workspace.report("evaluation", fraction)

    return _roll_out(env, policy, prompts, rules.plain, streams, batches, workspace, report)


def _roll_out(
    env: StyleConfiguration,
    policy: Policy,
    prompts: list[str],
    ask: Callable[[str], tuple[Message, ...]],
    streams: list[list[int]],
    batches: tuple[int, int],
    workspace: Workspace,
    report: Callable[[float], None],
) -> list[Rollout]:
    """Answers to prompts; ``batches`` are the numbers that are sampled, and scored, at once."""
    source, (sampled_at_once, scored_at_once) = env.source(workspace), batches
    conversations = [ask(prompt) for prompt in prompts]
    sampled = sample_answers(
        source, policy, conversations, streams, env.settings.sampling, sampled_at_once, report
    )
    plain = [rules.plain(prompt) for prompt in prompts]
    logps = _mean_logps(source, plain, sampled, scored_at_once)
    return [
        Rollout(prompt=prompt, tokens=answer.tokens, text=answer.text, mean_logp=logp)
        for prompt, answer, logp in zip(prompts, sampled, logps, strict=True)
    ]


def _mean_logps(
    source: ModelSource,
    conversations: Sequence[Sequence[Message]],
    sampled: Sequence[Sampled],
    batch: int,
) -> list[float]:
    """Mean log-probability of each answer's tokens under the untrained model, in nats."""
    model, tokenizer = load_base(source)
    rows = [
        Row(tuple(prompt_ids(tokenizer, messages)), (answer.tokens,), i)
        for i, (messages, answer) in enumerate(zip(conversations, sampled, strict=True))
    ]
    with headless(model) as head:
        totals = all_logps(model, head, rows, batch)[:, 0]
    return [float(total) / len(answer.tokens) for total, answer in zip(totals, sampled, strict=True)]


def fitted(
    env: StyleConfiguration, chosen: Rollout, rejected: Rollout, bound: Bound, workspace: Workspace
) -> Fitted | Reason:
    """A pair of answers to one prompt as a training reads it, with exactly the tokens that were sampled.

    Args:
        env: Environment.
        chosen: Preferred answer.
        rejected: Other answer.
        bound: Largest number of tokens of the prompt with either answer, and what becomes of longer ones.
        workspace: Cache with the model.

    Returns:
        The row, or the reason why it is dropped.
    """
    tokenizer = load_tokenizer(env.source(workspace).location)
    messages = rules.plain(chosen.prompt)
    row = Row(tuple(prompt_ids(tokenizer, messages)), (chosen.tokens, rejected.tokens))
    return fit(tokenizer, messages, row, bound)
