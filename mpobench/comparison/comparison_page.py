"""A comparison with the paper as a page of markdown. The same results in any order give the same bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from mpobench.comparison.agreement import FEWEST, Agreement
from mpobench.comparison.claims import CLAIMS
from mpobench.comparison.compare import Comparison
from mpobench.comparison.evaluation_protocols import evaluation_protocols
from mpobench.comparison.evaluation_protocols_page import evaluation_protocols_section
from mpobench.comparison.means import Position
from mpobench.comparison.reference import Published, Reference
from mpobench.comparison.verdicts import PartVerdict, Verdict
from mpobench.leaderboard.marks import Markdown
from mpobench.leaderboard.numbers import decimals_for, ranges, with_error, with_interval
from mpobench.leaderboard.statistics import Estimate

TITLE = "Against the paper"

_STYLE = Markdown()
_MOST_DISAGREEMENTS = 3
_LEGEND = """\
A claim holds where the whole 95 % interval of what it measures supports it, fails where the whole interval contradicts
it, and is undecided otherwise; one of several parts holds if all of them do, and fails if one does. The column of the
paper's numbers is the same function of its table: means drawn from normal distributions with its standard errors,
independently. Ours are by a bootstrap of seeds (percentiles, expanded for few seeds), those of cells with the same
seeds drawn together; a single seed decides nothing, and a cell of which a seed did not finish counts as not run.
Correlations redraw both tables; noise lowers them."""


def comparison_page(comparisons: Sequence[Comparison], paper: Reference, title: str = TITLE) -> str:
    """The page: for each table rank correlations, claims, and the numbers side by side.

    Args:
        comparisons: Comparisons, at least one.
        paper: The paper's tables.
        title: Heading.
    """
    blocks = [f"# {title}", f"{paper.title}, Tables 1, 5 and 6, beside results of this benchmark."]
    for comparison in comparisons:
        blocks += _section(comparison, paper)
    for both in evaluation_protocols(comparisons, paper):
        blocks += evaluation_protocols_section(both, paper)
    blocks += ["---", _LEGEND]
    if any(comparison.verdicts for comparison in comparisons):
        listed = [
            f"{at}. *{c.title}.* {c.says} Measured: {c.measured}" for at, c in enumerate(CLAIMS, start=1)
        ]
        blocks.append("\n".join(listed))
    return "\n\n".join(blocks) + "\n"


def _section(comparison: Comparison, paper: Reference) -> list[str]:
    section = comparison.section
    seeds = sorted(
        {result.seed for row in section.rows for entry in row.entries.values() for result in entry.finished}
    )
    blocks = [
        _STYLE.heading(
            2, f"{_STYLE.code(section.env)}, {_STYLE.code(section.evaluator)}, {section.scale} scale"
        ),
        f"{len(seeds)} {'seeds' if len(seeds) > 1 else 'seed'} ({ranges(seeds)}).",
    ]
    for name, specs in sorted(comparison.ambiguous.items()):
        listed = ", ".join(map(_STYLE.code, specs))
        blocks.append(f"Left out, because not exactly one row is the paper's {_STYLE.code(name)}: {listed}.")
    if stand_ins := sorted(
        f"{_STYLE.spec(row.objective)} for {_STYLE.code(name)}"
        for name, row in comparison.rows.items()
        if name in paper.discovered.values()
    ):
        blocks.append(
            "What was discovered here, of whatever family, stands for what the paper discovered on the same data: "
            f"{', '.join(stand_ins)}."
        )
    blocks += [_STYLE.heading(3, "Order"), _agreements(comparison)]
    if comparison.verdicts:
        blocks += [_STYLE.heading(3, "Claims"), _claims(comparison)]
    return [*blocks, _STYLE.heading(3, "Returns"), *_returns(comparison, paper)]


def _agreements(comparison: Comparison) -> str:
    lines = []
    for each in comparison.agreements:
        correlations = [with_interval(quantity, 2) for quantity in (each.spearman, each.kendall)]
        lines.append(
            [
                _STYLE.spec(each.corruption),
                str(len(each.ranked)),
                *correlations,
                _disagreements(each, comparison),
            ]
        )
    headers = [
        "column",
        "objectives",
        "Spearman ρ",
        "Kendall τ",
        "largest disagreements: rank here, in the paper",
    ]
    return _STYLE.table(headers, lines, "lrrrl")


def _disagreements(each: Agreement, comparison: Comparison) -> str:
    if len(each.ranked) < FEWEST:
        return f"too few to compare orders: {FEWEST} are needed"
    differing = [ranked for ranked in each.ranked[:_MOST_DISAGREEMENTS] if ranked.ours != ranked.theirs]
    told = [
        f"{_STYLE.spec(comparison.rows[ranked.objective].objective)} {ranked.ours:g}, {ranked.theirs:g}"
        for ranked in differing
    ]
    return "; ".join(told) or "none"


def _claims(comparison: Comparison) -> str:
    lines = []
    for at, (theirs, ours) in enumerate(comparison.verdicts, start=1):
        lines.append([f"{at}. {ours.claim.title}", _verdict(theirs), _verdict(ours)])
    return _STYLE.table(["claim", "paper's numbers", "ours"], lines, "lll")


def _verdict(verdict: Verdict) -> str:
    if verdict.decision == "not run":
        return f"**not run**: no {_missing(verdict.missing)}"
    return f"**{verdict.decision}**: {'; '.join(map(_part, verdict.parts))}"


def _part(verdict: PartVerdict) -> str:
    part = verdict.part
    name = f"{_STYLE.spec(part.name)} " if part.name else ""
    if verdict.quantity is None:
        return f"{name}has no value"
    return name + with_interval(verdict.quantity, 0, part.unit)


def _missing(missing: Sequence[Position]) -> str:
    """``slic, rrhf on base, mixed``: what is missing, objectives of the same columns together."""
    columns: defaultdict[str, list[str]] = defaultdict(list)
    for objective, corruption in missing:
        columns[objective].append(corruption)
    objectives: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for objective, corruptions in columns.items():
        objectives[tuple(corruptions)].append(objective)
    return "; ".join(
        f"{', '.join(map(_STYLE.spec, names))} on {', '.join(map(_STYLE.spec, corruptions))}"
        for corruptions, names in objectives.items()
    )


def _returns(comparison: Comparison, paper: Reference) -> list[str]:
    columns = [each.corruption for each in comparison.agreements]
    shared = {ranked.objective for each in comparison.agreements for ranked in each.ranked}
    published = paper.tables[comparison.env]
    names = [name for name in dict.fromkeys(objective for objective, _ in published) if name in shared]
    estimates = {
        (name, column): comparison.rows[name].estimate(column)
        for name in names
        for column in columns
        if (name, column) in comparison.ours
    }
    decimals = decimals_for(estimate.mean for estimate in estimates.values() if estimate)
    target, their_target = comparison.target, paper.targets[comparison.env]
    caption = "Mean ± standard error"
    if target:
        caption += (
            f"; in parentheses the share of the target agent's return, {target:.{decimals}f} here and "
            f"{their_target:g} in the paper"
        )
    headers = ["objective"]
    for column in columns:
        headers += [f"{_STYLE.spec(column)} here", f"{_STYLE.spec(column)} paper"]
    lines = []
    for name in names:
        line = [_STYLE.spec(comparison.rows[name].objective)]
        for column in columns:
            line.append(_own(estimates.get((name, column)), target, decimals))
            line.append(_published(published.get((name, column)), their_target if target else None))
        lines.append(line)
    return [f"{caption}.", _STYLE.table(headers, lines)]


def _own(estimate: Estimate | None, target: float | None, decimals: int) -> str:
    if estimate is None:
        return "–"
    return with_error(estimate, decimals) + _share(estimate.mean, target)


def _published(cell: Published | None, target: float | None) -> str:
    return f"{cell.mean:.0f} ± {cell.standard_error:.0f}{_share(cell.mean, target)}" if cell else "–"


def _share(mean: float, target: float | None) -> str:
    return f" ({100 * mean / target:z.0f} %)" if target else ""
