"""The judge's prompt: an instruction, two answers, and the question which one is better."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mpobench import RequestError
from mpobench.files.keys import content_key
from mpobench_llm.generation.input_files import read_text

PLACES = ("instruction", "output_1", "output_2")
_PLACE = re.compile("|".join(rf"\{{{name}\}}" for name in PLACES))


@dataclass(frozen=True)
class Question:
    """Two answers in one order.

    Attributes:
        instruction: Instruction.
        output_1: Answer that the judge calls m.
        output_2: Answer that the judge calls M.
    """

    instruction: str
    output_1: str
    output_2: str

    @property
    def key(self) -> str:
        """Content key, under which the verdict is kept."""
        return content_key([self.instruction, self.output_1, self.output_2])


def load_template(path: str | None) -> str:
    """The text of a template.

    Args:
        path: Path of a file; None for the shipped one, which follows AlpacaEval 2's ``alpaca_eval_clf``.

    Raises:
        RequestError: If the file is missing, or lacks the place of the instruction or of an answer.
    """
    if path is None:
        return resources.files("mpobench_llm.judge").joinpath("template.txt").read_text(encoding="utf-8")
    text = read_text(Path(path), "template")
    missing = [f"{{{name}}}" for name in PLACES if f"{{{name}}}" not in text]
    if missing:
        raise RequestError(
            f"template {path}: {', '.join(missing)} is missing: the judge has to see all of them"
        )
    return text


def fill(template: str, question: Question) -> str:
    """The prompt. Braces in an instruction or an answer stay as they are."""
    return _PLACE.sub(lambda place: str(getattr(question, place.group()[1:-1])), template)
