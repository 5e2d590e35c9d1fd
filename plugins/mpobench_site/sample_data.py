"""Samples of answers: those of the lowest seed of a table, by prompt."""

from __future__ import annotations

from typing import Any

from mpobench.leaderboard.standings import Section
from mpobench_site.digits import short

MOST_CHARACTERS = 600
"""Length at which an answer is cut."""


def sample_data(section: Section) -> dict[str, Any]:
    """The prompts, and for each the answers of every row and column; empty without samples."""
    shown = [
        (at, place, result)
        for at, row in enumerate(section.rows)
        for place, column in enumerate(section.columns)
        if column in row.entries
        for result in row.entries[column].finished
        if result.samples
    ]
    if not shown:
        return {}
    seed = min(result.seed for *_, result in shown)
    by_prompt: dict[str, list[Any]] = {}
    for at, place, result in shown:
        for sample in result.samples if result.seed == seed else ():
            answer = sample.answer
            cut = answer[:MOST_CHARACTERS] + ("…" if len(answer) > MOST_CHARACTERS else "")
            by_prompt.setdefault(sample.prompt, []).append([at, place, short(sample.score, 3), cut])
    return {
        "seed": seed,
        "prompts": [{"prompt": prompt, "answers": answers} for prompt, answers in by_prompt.items()],
    }
