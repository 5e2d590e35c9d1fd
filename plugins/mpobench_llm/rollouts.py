"""The pool of answers: each agent answers once, and every corruption picks from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from mpobench import Workspace
from mpobench.env_kit.env_file import Settings
from mpobench.files import locks
from mpobench.files.atomic import write_atomically
from mpobench.files.keys import content_key
from mpobench_llm import models, speaking, style
from mpobench_llm.models import Policy
from mpobench_llm.tokens import Row, prompt_ids

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject, Scale
    from mpobench_llm.style_env import SmolLMStyle


class Rollout(Settings):
    """An answer.

    Attributes:
        prompt: what the user asked.
        tokens: of the answer, its end included where it has one.
        text: what the user reads.
        mean_logp: of the tokens under the untrained model, asked plainly, in nats.
    """

    prompt: str
    tokens: tuple[int, ...]
    text: str
    mean_logp: float


_POOL = TypeAdapter(list[Rollout])


def block(env: SmolLMStyle, payload: JsonObject, workspace: Workspace) -> list[Rollout]:
    """A block of the pool: read from the cache, or sampled and kept there."""
    file = workspace.cache / "answers" / f"{content_key(payload)}.json"
    locks.once(file, lambda: write_atomically(file, _POOL.dump_json(_sample(env, payload, workspace))))
    return _POOL.validate_json(file.read_bytes())


def _sample(env: SmolLMStyle, payload: JsonObject, workspace: Workspace) -> list[Rollout]:
    from mpobench_llm.style_env import ROLES

    prompts = env.asked(payload["purpose"], payload["first"], payload["count"])
    role = ROLES.index(payload["role"])
    purpose = ("data", "held-out").index(payload["purpose"])
    streams = [
        [speaking.DATA, purpose, role, payload["draw"], row]
        for row in range(payload["first"], payload["first"] + payload["count"])
    ]
    ask = style.instructed if payload["role"] == "target" else style.plain
    return _speak(
        env, Policy(), [ask(text) for text in prompts], prompts, streams, workspace, "answers", len(prompts)
    )


def evaluate(
    env: SmolLMStyle, policy: Policy, seed: int, scale: Scale, workspace: Workspace
) -> list[Rollout]:
    """A policy's answers to the held-out prompts."""
    prompts = env.instructions(scale, workspace)
    streams = [[speaking.EVALUATION, seed, i] for i in range(len(prompts))]
    asked = [style.plain(text) for text in prompts]
    batch = env.evaluation_settings(scale).batch
    return _speak(env, policy, asked, prompts, streams, workspace, "evaluation", batch)


def _speak(
    env: SmolLMStyle,
    policy: Policy,
    asked: list[Any],
    prompts: list[str],
    streams: list[list[int]],
    workspace: Workspace,
    phase: str,
    batch: int,
) -> list[Rollout]:
    spoken = speaking.speak(env, policy, asked, streams, batch, workspace, phase)
    logps = speaking.mean_logps(env, [style.plain(text) for text in prompts], spoken, workspace)
    tokenizer = models.tokenizer(env.source(workspace).location)
    return [
        Rollout(prompt=prompt, tokens=tuple(tokens), text=speaking.text_of(tokenizer, tokens), mean_logp=logp)
        for prompt, tokens, logp in zip(prompts, spoken, logps, strict=True)
    ]


def as_row(
    env: SmolLMStyle, chosen: Rollout, rejected: Rollout, index: int, max_length: int, workspace: Workspace
) -> Row:
    """A pair of answers to one prompt, as a training reads it: the very tokens that were sampled."""
    tokenizer = models.tokenizer(env.source(workspace).location)
    prompt = prompt_ids(tokenizer, style.plain(chosen.prompt))[-(max_length // 2) :]
    room = max_length - len(prompt)
    return Row(tuple(prompt), (chosen.tokens[:room], rejected.tokens[:room]), index)
