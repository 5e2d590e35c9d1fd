"""Claims decided on a table: holds, fails or undecided, by where the intervals lie."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mpobench.comparison.claims import Claim, Part
from mpobench.comparison.means import Means, Position
from mpobench.comparison.terms import evaluate, positions
from mpobench.leaderboard.resampling import interval
from mpobench.leaderboard.statistics import Quantity

Decision: TypeAlias = Literal["holds", "fails", "undecided", "not run"]


@dataclass(frozen=True)
class PartVerdict:
    """A part of a claim, decided.

    Attributes:
        part: Part.
        decision: ``holds`` if the whole interval is above the threshold, ``fails`` if all of it is below.
        quantity: The number with its 95 % interval; None if it has no value, as a share of a return below 0.
    """

    part: Part
    decision: Decision
    quantity: Quantity | None


@dataclass(frozen=True)
class Verdict:
    """A claim, decided.

    Attributes:
        claim: Claim.
        decision: Decision; ``not run`` if means that it needs are missing.
        parts: Its parts; none where it was not run.
        missing: Means that it needs and that are not there.
    """

    claim: Claim
    decision: Decision
    parts: tuple[PartVerdict, ...]
    missing: tuple[Position, ...]


def decide(claim: Claim, means: Means) -> Verdict:
    """Decides a claim."""
    needed = dict.fromkeys(position for part in claim.parts for position in positions(part.measured))
    missing = tuple(position for position in needed if position not in means)
    if missing:
        return Verdict(claim, "not run", (), missing)
    parts = tuple(_decide_part(part, means) for part in claim.parts)
    return Verdict(claim, _together(part.decision for part in parts), parts, ())


def _decide_part(part: Part, means: Means) -> PartVerdict:
    import numpy as np

    values = evaluate(part.measured, means)
    if not math.isfinite(values[0]):
        return PartVerdict(part, "undecided", None)
    seeds = [means[position].n for position in positions(part.measured)]
    counted = [n for n in seeds if n is not None]
    draws = values[1:]
    # A draw without a value could have been anything.
    bounds = interval(draws, min(counted) if counted else None) if np.isfinite(draws).all() else None
    quantity = Quantity(float(values[0]), bounds)
    if bounds and bounds.low > part.above:
        return PartVerdict(part, "holds", quantity)
    if bounds and bounds.high < part.above:
        return PartVerdict(part, "fails", quantity)
    return PartVerdict(part, "undecided", quantity)


def _together(decisions: Iterable[Decision]) -> Decision:
    there = set(decisions)
    if "fails" in there:
        return "fails"
    return "holds" if there == {"holds"} else "undecided"
