"""What answers are compared with: the untrained model, answers in a file, or a policy of another run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpobench import RequestError, Workspace
from mpobench.files.text import expanded
from mpobench_llm.alpaca_eval import WHAT, read_outputs
from mpobench_llm.judge.files import RECORD, digest, folder_digest, read_text
from mpobench_llm.judge.settings import ORIGINAL

if TYPE_CHECKING:
    from mpobench.protocols import Scale
    from mpobench_llm.answers import Answer
    from mpobench_llm.env import LanguageEnv


def baseline_digest(baseline: str, instructions: Sequence[str] | None) -> str:
    """What a baseline is, for keys: its content, wherever it lies.

    Args:
        baseline: as in the settings.
        instructions: that it has to answer, where they are known already.

    Raises:
        RequestError: if there is no such thing, or it lacks an answer.
    """
    if baseline == ORIGINAL:
        return ORIGINAL
    path = expanded(baseline)
    if path.is_dir():
        if not (path / RECORD).is_file():
            raise RequestError(
                f"baseline {baseline}: not the folder of a policy, which is results/policies/KEY"
            )
        return folder_digest(path)
    if not path.exists():
        raise RequestError(
            f"baseline {baseline!r} is neither 'original' nor a file or folder that is there: name AlpacaEval's "
            "model_outputs.json, or a folder results/policies/KEY"
        )
    read_outputs(path, instructions)
    return digest(read_text(path, WHAT))


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
        baseline: as in the settings.
        env: whose models answer, with the same random numbers as the policy that is judged.
        seed: of the sampling.
        scale: of the run.
        workspace: where the environment keeps its files.
        instructions: to answer.
    """
    path = expanded(baseline)
    if baseline != ORIGINAL and path.is_file():
        return read_outputs(path, instructions)
    policy = env.original() if baseline == ORIGINAL else env.load_policy(path)
    return env.answers(policy, seed, scale, workspace, instructions)
