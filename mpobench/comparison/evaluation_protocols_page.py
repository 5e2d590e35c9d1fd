"""The two evaluation protocols side by side, as blocks of a page."""

from __future__ import annotations

from mpobench.comparison.evaluation_protocols import BASELINE, KINDS, Difference, EvaluationProtocols
from mpobench.comparison.reference import Reference
from mpobench.leaderboard.marks import Markdown
from mpobench.leaderboard.numbers import with_interval

_STYLE = Markdown()


def evaluation_protocols_section(protocols: EvaluationProtocols, paper: Reference) -> list[str]:
    """The blocks: how many of the paper's differences are of each kind, and those from cloning one by one."""
    section = protocols.own.section
    own, agents = map(_STYLE.code, paper.evaluation_protocols)
    blocks = [
        _STYLE.heading(
            2, f"{_STYLE.code(section.env)}, {section.scale} scale: acting better, or less noisily"
        ),
        f"Pairs of objectives that the paper tells apart (95 % interval of its difference), by what they show here at "
        f"the noise that the policies learned ({own}) and at the agents' ({agents}). *Acts better*: ahead, in the "
        "paper's order, at both. *Only less noisy*: ahead at its own noise, not at the agents', and the lead is "
        "smaller there. *Reversed*: behind at its own noise. The rest is undecided. Each by 95 % intervals, of which "
        "many are looked at here: of a hundred pairs without a difference, about five seem to have one.",
        _counts(protocols),
    ]
    told = [each for each in protocols.differences if BASELINE in (each.better, each.worse)]
    if told:
        text = (
            f"Those from {_STYLE.code(BASELINE)}: the better objective of the paper minus the other, "
            "and the standard deviation of its policies less the other's."
        )
        blocks += [text, _STYLE.table(_HEADERS, [_line(each, protocols) for each in told], "lllrrrrl")]
    return blocks


_HEADERS = ["column", "better in the paper", "worse", "paper", "own noise", "agents' noise", "std", "here"]


def _counts(protocols: EvaluationProtocols) -> str:
    columns = dict.fromkeys(each.corruption for each in protocols.differences)
    lines = []
    for column in columns:
        counts = protocols.count(column)
        lines.append([_STYLE.spec(column), str(sum(counts.values())), *(str(counts[kind]) for kind in KINDS)])
    return _STYLE.table(["column", "told apart in the paper", *KINDS], lines, "l" + "r" * (1 + len(KINDS)))


def _line(each: Difference, protocols: EvaluationProtocols) -> list[str]:
    stds = [protocols.std(name, each.corruption) for name in (each.better, each.worse)]
    names = [_STYLE.spec(protocols.own.rows[name].objective) for name in (each.better, each.worse)]
    differences = [with_interval(quantity, 0) for quantity in (each.paper, each.own, each.agents)]
    known = [std for std in stds if std is not None]
    difference = f"{known[0] - known[1]:+z.3f}" if len(known) == len(stds) else "–"
    return [_STYLE.spec(each.corruption), *names, *differences, difference, each.kind]
