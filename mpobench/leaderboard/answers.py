"""Answers of policies to the same prompts, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from mpobench.leaderboard.standings import Section
from mpobench.protocols import Sample


@dataclass(frozen=True)
class Answer:
    """What one policy answered.

    Attributes:
        row: Number of its row in the section.
        column: Number of its column.
        sample: Prompt, answer and score.
    """

    row: int
    column: int
    sample: Sample


@dataclass(frozen=True)
class Answers:
    """The answers that a section shows: those of its lowest seed that has some.

    Attributes:
        seed: Seed.
        by_prompt: Answers by row and column, by prompt.
    """

    seed: int
    by_prompt: dict[str, list[Answer]]


def answers(section: Section) -> Answers | None:
    """The answers of a section; None if its records have none."""
    shown = [
        (at, place, result)
        for at, row in enumerate(section.rows)
        for place, column in enumerate(section.columns)
        if column in row.entries
        for result in row.entries[column].finished
        if result.samples
    ]
    if not shown:
        return None
    found = Answers(min(result.seed for *_, result in shown), {})
    for at, place, result in shown:
        for sample in result.samples if result.seed == found.seed else ():
            found.by_prompt.setdefault(sample.prompt, []).append(Answer(at, place, sample))
    return found
