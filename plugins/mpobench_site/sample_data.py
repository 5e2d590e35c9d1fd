"""Samples of answers: those of the lowest seed of a table, by prompt."""

from __future__ import annotations

from typing import Any

from mpobench.leaderboard.answers import Answer, answers
from mpobench.leaderboard.standings import Section
from mpobench_site.digits import short

MOST_CHARACTERS = 600
"""Length at which an answer is cut."""


def sample_data(section: Section) -> dict[str, Any]:
    """The prompts, and for each the answers of every row and column; empty without samples."""
    shown = answers(section)
    return {} if shown is None else {
        "seed": shown.seed,
        "prompts": [
            {"prompt": prompt, "answers": [_answer(each) for each in given]}
            for prompt, given in shown.by_prompt.items()
        ],
    }  # fmt: skip


def _answer(given: Answer) -> list[Any]:
    """Row, column, score, answer."""
    text = given.sample.answer
    cut = text[:MOST_CHARACTERS] + ("…" if len(text) > MOST_CHARACTERS else "")
    return [given.row, given.column, short(given.sample.score, 3), cut]
