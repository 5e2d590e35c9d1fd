"""Results compared with the paper, table by table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mpobench.comparison import claims
from mpobench.comparison.agreement import Agreement, agreement
from mpobench.comparison.means import Means, own_means, published_means, rows_by_paper
from mpobench.comparison.reference import Reference
from mpobench.comparison.verdicts import Verdict, decide
from mpobench.errors import RequestError
from mpobench.leaderboard.agents import agent_score
from mpobench.leaderboard.standings import Row, Section, standings
from mpobench.results.cell_result import CellResult


@dataclass(frozen=True)
class Comparison:
    """One of our tables beside the paper's of that environment.

    Attributes:
        section: Our table: one environment spec, evaluator and scale.
        env: The paper's environment.
        ours: Our means, by the paper's names.
        theirs: The paper's.
        rows: Our rows, by the paper's names.
        target: Return of our target agent; None if the results do not say it, or not with one voice.
        agreements: Columns that both have.
        verdicts: Claims with the paper's own numbers, and with ours; none for environments without claims.
        ambiguous: Specs that were left out, by one of the paper's names: not exactly one of them counts for it.
    """

    section: Section
    env: str
    ours: Means
    theirs: Means
    rows: Mapping[str, Row]
    target: float | None
    agreements: tuple[Agreement, ...]
    verdicts: tuple[tuple[Verdict, Verdict], ...]
    ambiguous: Mapping[str, list[str]]


def compare(results: Iterable[CellResult], paper: Reference) -> tuple[Comparison, ...]:
    """Compares each table of the results whose environment, by name, is in the paper.

    Raises:
        RequestError: If no table shares an objective and a corruption with the paper.
    """
    sections = standings(results)
    compared = [
        comparison
        for section in sections
        if (env := paper.env_of(section.env)) and (comparison := _compared(section, env, paper))
    ]
    if not compared:
        there = ", ".join(sorted({section.env for section in sections})) or "none"
        raise RequestError(
            f"nothing to compare: the paper has {' and '.join(paper.tables)}, and the results no finished cell of "
            f"one of its objectives and corruptions there (environments of the results: {there})"
        )
    return tuple(compared)


def _compared(section: Section, env: str, paper: Reference) -> Comparison | None:
    if not section.higher_is_better:
        return None
    rows, ambiguous = rows_by_paper(section, env, paper)
    ours = own_means(rows, section.columns, section.resamples)
    theirs = published_means(paper.tables[env], section.resamples)
    columns = [c for c in section.columns if any(position in theirs for position in ours if position[1] == c)]
    if not columns:
        return None
    target = agent_score(section, "target")
    judged = claims.CLAIMS if env == claims.ENV else ()
    return Comparison(
        section=section,
        env=env,
        ours=ours,
        theirs=theirs,
        rows=rows,
        target=target if target and target > 0 else None,
        agreements=tuple(agreement(column, ours, theirs) for column in columns),
        verdicts=tuple((decide(claim, theirs), decide(claim, ours)) for claim in judged),
        ambiguous=ambiguous,
    )
