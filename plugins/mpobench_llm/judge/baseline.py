"""Baselines: the untrained model, answers in a file, or a policy of another run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpobench import RequestError, Workspace
from mpobench.files.text import expanded
from mpobench.results.policy_files import record_file
from mpobench_llm.generation.alpaca_eval import KIND, read_outputs
from mpobench_llm.generation.input_files import read_text
from mpobench_llm.judge.digests import POLICY_FOLDER, policy_digest, text_digest
from mpobench_llm.judge.settings import ORIGINAL

if TYPE_CHECKING:
    from mpobench.protocols import Scale
    from mpobench_llm.envs.language_env import LanguageEnv
    from mpobench_llm.generation.answer import Answer


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
    """The baseline's answers, one to each instruction.

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
    policy = env.original() if baseline == ORIGINAL else env.load_policy(path)
    return env.answers(policy, seed, scale, workspace, instructions)
