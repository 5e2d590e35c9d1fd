"""Baselines: the untrained model, answers in a file, or a policy of another run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mpobench import RequestError, Workspace
from mpobench.files import locks
from mpobench.files.atomic import write_atomically
from mpobench.files.keys import content_key
from mpobench.files.text import expanded
from mpobench.results.policy_files import record_file
from mpobench_llm.generation.alpaca_eval import KIND, read_outputs
from mpobench_llm.generation.answer import Answer
from mpobench_llm.generation.input_files import read_text
from mpobench_llm.judge.digests import POLICY_FOLDER, policy_digest, text_digest
from mpobench_llm.judge.settings import ORIGINAL

if TYPE_CHECKING:
    from mpobench.protocols import Scale
    from mpobench_llm.envs.language_env import LanguageEnv

ANSWERS = 1
"""Version of the answers that models give, raised when they change, if only by rounding."""


def baseline_digest(baseline: str, instructions: Sequence[str] | None) -> str:
    """The content of a baseline, for keys.

    Args:
        baseline: Field of the settings.
        instructions: Instructions that it has to answer; None if they are not known yet.

    Raises:
        RequestError: If there is no such baseline, or it lacks an answer.
    """
    if baseline == ORIGINAL:
        return ORIGINAL
    path = expanded(baseline)
    if path.is_dir():
        if not record_file(path).is_file():
            raise RequestError(f"baseline {baseline}: not the folder of a policy, which is {POLICY_FOLDER}")
        return policy_digest(path)
    if not path.exists():
        raise RequestError(
            f"baseline {baseline!r} is neither 'original' nor a file or folder that is there: name AlpacaEval's "
            f"model_outputs.json, or a folder {POLICY_FOLDER}"
        )
    read_outputs(path, instructions)
    return text_digest(read_text(path, KIND))


def baseline_answers(
    baseline: str,
    env: LanguageEnv,
    seed: int,
    scale: Scale,
    workspace: Workspace,
    instructions: Sequence[str],
) -> list[Answer]:
    """The baseline's answers, one to each instruction. A model's are kept: all cells of a seed compare with the same.

    Args:
        baseline: Field of the settings.
        env: Environment; its model answers with the same random numbers as the policy that is judged.
        seed: Seed of the evaluation.
        scale: Scale of the run.
        workspace: Cache and progress reports.
        instructions: Instructions to answer.
    """
    path = expanded(baseline)
    if baseline != ORIGINAL and path.is_file():
        return read_outputs(path, instructions)
    file = workspace.cache / _answers_path(baseline, env, seed, scale, workspace, instructions)

    def make() -> None:
        policy = env.original() if baseline == ORIGINAL else env.load_policy(path)
        answers = env.answers(policy, seed, scale, workspace, instructions)
        write_atomically(file, json.dumps([answer.output for answer in answers]))

    locks.once(file, make)
    outputs = json.loads(file.read_bytes())
    return [Answer(*pair) for pair in zip(instructions, outputs, strict=True)]


def _answers_path(
    baseline: str,
    env: LanguageEnv,
    seed: int,
    scale: Scale,
    workspace: Workspace,
    instructions: Sequence[str],
) -> Path:
    """File of a model's answers, relative to the cache, under all that decides them, rounding included."""
    content = {
        "make": "baseline answers",
        "version": ANSWERS,
        "baseline": baseline_digest(baseline, instructions),
        "env": [type(env).__qualname__, env.model_dump(mode="json", exclude=set(env.not_in_key))],
        "dataset": env.dataset_config(scale),  # names the model
        "precision": env.source(workspace).computed,
        "sampling": env.settings.sampling.model_dump(),
        "batch": env.evaluation_settings(scale).batch,
        "seed": seed,
        "instructions": list(instructions),
    }
    return Path("baselines", f"{content_key(content)}.json")
