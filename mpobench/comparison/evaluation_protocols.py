"""The paper's differences under two evaluation protocols: policies at the noise that they learned, and at the agents'.

Where the standard deviation is learned, a loss may be ahead because its policy acts better, or because it acts with
less noise. At the agents' noise only the first is left.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from mpobench.comparison.compare import Comparison
from mpobench.comparison.means import Drawn, Means
from mpobench.comparison.reference import Reference
from mpobench.leaderboard.resampling import interval
from mpobench.leaderboard.statistics import Interval, Quantity

BASELINE = "sft"
"""The objective from which differences are told: cloning, without preferences."""

Kind: TypeAlias = Literal["acts better", "only less noisy", "undecided", "reversed"]
"""``acts better``: ahead at its own noise and at the agents'. ``only less noisy``: ahead at its own noise, not at the
agents', and the lead is smaller there. ``reversed``: behind at its own noise. The rest is undecided."""

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Difference:
    """Two objectives on one corruption, ordered as in the paper.

    Attributes:
        corruption: Corruption.
        better: Objective with the higher return in the paper, by its name there.
        worse: The other one.
        paper: ``better`` minus ``worse`` in the paper.
        own: The same here, at the policies' own noise.
        agents: The same at the agents' noise.
        kind: What it is, by the intervals.
    """

    corruption: str
    better: str
    worse: str
    paper: Quantity
    own: Quantity
    agents: Quantity
    kind: Kind


@dataclass(frozen=True)
class EvaluationProtocols:
    """Two comparisons of the same policies.

    Attributes:
        own: At the noise that the policies learned.
        agents: At the agents' noise.
        differences: Differences that the paper shows (its interval excludes 0) and that both have.
    """

    own: Comparison
    agents: Comparison
    differences: tuple[Difference, ...]

    def count(self, corruption: str) -> dict[Kind, int]:
        """Differences on a corruption, by kind."""
        kinds = [each.kind for each in self.differences if each.corruption == corruption]
        return {kind: kinds.count(kind) for kind in KINDS}

    def std(self, objective: str, corruption: str) -> float | None:
        """Mean standard deviation of an objective's policies; None where it is not recorded."""
        entry = self.own.rows[objective].entries[corruption]
        found = [result.metrics["std"] for result in entry.finished if "std" in result.metrics]
        return sum(found) / len(found) if found else None


def evaluation_protocols(
    comparisons: Iterable[Comparison], paper: Reference
) -> tuple[EvaluationProtocols, ...]:
    """The tables that both evaluators have, side by side."""
    own_name, agents_name = paper.evaluation_protocols
    tables = {(each.section.env, each.section.scale, each.section.evaluator): each for each in comparisons}
    return tuple(
        EvaluationProtocols(own, agents, tuple(_differences(own, agents)))
        for (env, scale, evaluator), own in tables.items()
        if evaluator == own_name and (agents := tables.get((env, scale, agents_name)))
    )


def _differences(own: Comparison, agents: Comparison) -> Iterable[Difference]:
    for corruption in (each.corruption for each in own.agreements):
        shared = [
            o for o, c in own.ours if c == corruption and (o, c) in agents.ours and (o, c) in own.theirs
        ]
        for pair in itertools.combinations(shared, 2):
            better, worse = sorted(pair, key=lambda name: -own.theirs[name, corruption].mean)
            paper = _minus(own.theirs, corruption, better, worse)
            if _sign(paper) > 0:
                yield _difference(corruption, better, worse, paper, own.ours, agents.ours)


def _difference(
    corruption: str, better: str, worse: str, paper: Quantity, own: Means, agents: Means
) -> Difference:
    there, here = (_minus(means, corruption, better, worse) for means in (own, agents))
    leads = [_values(means, corruption, better, worse) for means in (own, agents)]
    size = min(map(len, leads))  # a very large table has fewer bootstrap samples, the first ones
    lost = _quantity(
        leads[0][:size] - leads[1][:size],
        [means[name, corruption] for means in (own, agents) for name in (better, worse)],
    )
    return Difference(corruption, better, worse, paper, there, here, _kind(there, here, lost))


def _kind(own: Quantity, agents: Quantity, lost: Quantity) -> Kind:
    if _sign(own) < 0:
        return "reversed"
    if _sign(own) == 0:
        return "undecided"
    if _sign(agents) > 0:
        return "acts better"
    return "only less noisy" if _sign(lost) > 0 else "undecided"


def _minus(means: Means, corruption: str, first: str, second: str) -> Quantity:
    both = [means[name, corruption] for name in (first, second)]
    return _quantity(_values(means, corruption, first, second), both)


def _values(means: Means, corruption: str, first: str, second: str) -> Any:
    return means[first, corruption].values - means[second, corruption].values


def _quantity(values: Any, of: Sequence[Drawn]) -> Quantity:
    counted = [drawn.n for drawn in of if drawn.n is not None]
    bounds: Interval | None = interval(values[1:], min(counted) if counted else None)
    return Quantity(float(values[0]), bounds)


def _sign(quantity: Quantity) -> int:
    """The sign of all of the interval; 0 where it holds 0, or is not known."""
    bounds = quantity.interval
    if bounds is None or bounds.low <= 0 <= bounds.high:
        return 0
    return int(math.copysign(1, bounds.low))
