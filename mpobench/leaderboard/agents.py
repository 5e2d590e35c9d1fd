"""The scores of an environment's two agents, between which a table's scores lie."""

from __future__ import annotations

from typing import Literal

from mpobench.leaderboard.standings import Section


def agent_score(section: Section, agent: Literal["original", "target"]) -> float | None:
    """The score of an agent, which evaluators state in their configuration; None unless all records state the same."""
    stated = {
        evaluation.get(agent)
        for row in section.rows
        for entry in row.entries.values()
        for result in entry.finished
        if isinstance(evaluation := result.config.get("evaluation"), dict)
    }
    score = stated.pop() if len(stated) == 1 else None
    return score if isinstance(score, int | float) else None
