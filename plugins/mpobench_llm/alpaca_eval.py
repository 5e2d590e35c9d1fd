"""AlpacaEval's ``model_outputs.json``: answers that its own tools, and other people's, read and write.

A list of objects with ``instruction``, ``output`` and ``generator`` (the model's name), and ``dataset`` where it is
known; see https://github.com/tatsu-lab/alpaca_eval.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mpobench import RequestError
from mpobench.files.atomic import write_atomically
from mpobench_llm.answers import Answer
from mpobench_llm.judge.files import field, read_objects

WHAT = "model outputs"


def write_outputs(path: Path, answers: Sequence[Answer], generator: str, dataset: str | None = None) -> None:
    """Writes answers.

    Args:
        path: of the file; an existing one is replaced.
        answers: to write, in this order.
        generator: who gave them.
        dataset: where the instructions come from.

    Raises:
        RequestError: if the file cannot be written.
    """
    source = {} if dataset is None else {"dataset": dataset}
    rows = [
        {"instruction": answer.instruction, "output": answer.output, "generator": generator, **source}
        for answer in answers
    ]
    write_atomically(path, json.dumps(rows, indent=2, ensure_ascii=False) + "\n")


def read_outputs(path: Path, instructions: Sequence[str] | None = None) -> list[Answer]:
    """Reads answers.

    Args:
        path: of the file.
        instructions: whose answers to return, in this order; None for all, in the file's order. Where the file
            answers an instruction several times, the first counts.

    Raises:
        RequestError: if the file is missing or malformed, or lacks an answer.
    """
    rows = read_objects(path, WHAT)
    outputs: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        instruction = field(row, "instruction", number, path, WHAT)
        outputs.setdefault(instruction, field(row, "output", number, path, WHAT))
    wanted = list(outputs) if instructions is None else instructions
    missing = [each for each in wanted if each not in outputs]
    if missing:
        raise RequestError(
            f"{WHAT} {path}: no answer to {len(missing)} of {len(wanted)} instructions, the first is "
            f"{missing[0]!r:.80}: name the instructions that it answers, or another file"
        )
    return [Answer(each, outputs[each]) for each in wanted]
