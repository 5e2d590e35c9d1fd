"""Instructions from a file, in the formats that people keep them in."""

from __future__ import annotations

from pathlib import Path

from mpobench import RequestError
from mpobench_llm.judge.files import field, read_objects, read_text

WHAT = "instructions"


def read_instructions(path: Path) -> tuple[str, ...]:
    """Reads instructions, each once, in the order of the file.

    Args:
        path: ``.json``, a list of objects with ``instruction`` (AlpacaEval's own files are); ``.jsonl``, likewise, one
            a line; anything else is text, one instruction a line.

    Raises:
        RequestError: if the file is missing or malformed, or has none.
    """
    if path.suffix in (".json", ".jsonl"):
        rows = read_objects(path, WHAT)
        found = [field(row, "instruction", number, path, WHAT) for number, row in enumerate(rows, 1)]
    else:
        found = [line.strip() for line in read_text(path, WHAT).split("\n")]
    instructions = tuple(dict.fromkeys(each for each in found if each.strip()))
    if not instructions:
        raise RequestError(f"{WHAT} {path}: there is none in it")
    return instructions
