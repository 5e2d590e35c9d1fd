"""AlpacaEval's ``model_outputs.json``, the format of answers that its tools read and write.

A list of objects with ``instruction``, ``output`` and ``generator`` (name of the model), and ``dataset`` where it is
known; see https://github.com/tatsu-lab/alpaca_eval.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mpobench import RequestError
from mpobench.files.atomic import write_atomically
from mpobench_llm.generation.answer import Answer
from mpobench_llm.generation.input_files import field, read_objects

KIND = "model outputs"
"""Name of such files in errors."""


def write_outputs(path: Path, answers: Sequence[Answer], generator: str, dataset: str | None = None) -> None:
    """Writes answers.

    Args:
        path: Path of the file; an existing one is replaced.
        answers: Answers in order.
        generator: Name of the model.
        dataset: Origin of the instructions.

    Raises:
        RequestError: If the file cannot be written.
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
        path: Path of the file.
        instructions: Instructions to return answers for, in order; None for all, in the file's order. Where the file
            answers an instruction several times, the first answer counts.

    Raises:
        RequestError: If the file is missing or malformed, or lacks an answer.
    """
    rows = read_objects(path, KIND)
    outputs: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        instruction = field(row, "instruction", number, path, KIND)
        outputs.setdefault(instruction, field(row, "output", number, path, KIND))
    wanted = list(outputs) if instructions is None else instructions
    missing = [text for text in wanted if text not in outputs]
    if missing:
        raise RequestError(
            f"{KIND} {path}: no answer to {len(missing)} of {len(wanted)} instructions, the first is "
            f"{missing[0]!r:.80}: name the instructions that it answers, or another file"
        )
    return [Answer(text, outputs[text]) for text in wanted]
