"""Files of instructions: JSON, JSON lines, or text."""

from __future__ import annotations

from pathlib import Path

from mpobench import RequestError
from mpobench_llm.generation.input_files import field, read_objects, read_text

KIND = "instructions"
"""Name of such files in errors."""


def read_instructions(path: Path) -> tuple[str, ...]:
    """Reads instructions, each once, in the order of the file.

    Args:
        path: A ``.json`` file with a list of objects with ``instruction``, as AlpacaEval's are; a ``.jsonl`` file with
            one object a line; or a text file with one instruction a line.

    Raises:
        RequestError: If the file is missing or malformed, or has none.
    """
    if path.suffix in (".json", ".jsonl"):
        rows = read_objects(path, KIND)
        texts = [field(row, "instruction", number, path, KIND) for number, row in enumerate(rows, 1)]
    else:
        texts = [line.strip() for line in read_text(path, KIND).split("\n")]
    instructions = tuple(dict.fromkeys(text for text in texts if text.strip()))
    if not instructions:
        raise RequestError(f"{KIND} {path}: there is none in it")
    return instructions
