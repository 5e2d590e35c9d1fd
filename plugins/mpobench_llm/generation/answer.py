"""An instruction and the answer to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """An answer to an instruction.

    Attributes:
        instruction: Message of the user, as plain text.
        output: Answer of the policy, without special tokens.
    """

    instruction: str
    output: str
