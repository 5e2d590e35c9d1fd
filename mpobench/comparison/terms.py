"""Arithmetic of means: what a claim measures, written once and evaluated on any table.

A term is evaluated on the mean itself and on each of its draws alike, so its uncertainty comes along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mpobench.comparison.means import Means, Position

Term: TypeAlias = "Mean | Formula"


@dataclass(frozen=True)
class Mean:
    """The mean return of an objective on a corruption."""

    objective: str
    corruption: str


@dataclass(frozen=True)
class Formula:
    """A function of other terms.

    Attributes:
        of: Function of their arrays, each (1 + resamples,).
        operands: Terms.
    """

    of: Callable[..., Any]
    operands: tuple[Term, ...]


def average(terms: Sequence[Term]) -> Formula:
    """The mean of terms."""
    return Formula(lambda *values: sum(values) / len(values), tuple(terms))


def largest(terms: Sequence[Term]) -> Formula:
    """The largest of terms."""
    return Formula(lambda *values: _stacked(values).max(axis=0), tuple(terms))


def smallest(terms: Sequence[Term]) -> Formula:
    """The smallest of terms."""
    return Formula(lambda *values: _stacked(values).min(axis=0), tuple(terms))


def difference(first: Term, second: Term) -> Formula:
    """``first − second``."""
    return Formula(lambda one, other: one - other, (first, second))


def percent(first: Term, second: Term) -> Formula:
    """``first`` in percent of ``second``; without a value where that is not positive."""
    return Formula(_percent, (first, second))


def percent_above(pairs: Sequence[tuple[Term, Term]]) -> Formula:
    """The share of pairs, in percent, whose first term is above the second."""

    def share(*values: Any) -> Any:
        return 100 * (_stacked(values[::2]) > _stacked(values[1::2])).mean(axis=0)

    return Formula(share, tuple(term for pair in pairs for term in pair))


def positions(term: Term) -> Iterator[Position]:
    """The means that a term needs."""
    if isinstance(term, Mean):
        yield term.objective, term.corruption
        return
    for operand in term.operands:
        yield from positions(operand)


def evaluate(term: Term, means: Means) -> Any:
    """The value of a term and its draws, an array (1 + resamples,); all its means must be there."""
    if isinstance(term, Mean):
        return means[term.objective, term.corruption].values
    return term.of(*(evaluate(operand, means) for operand in term.operands))


def _percent(first: Any, second: Any) -> Any:
    import numpy as np

    values = np.full(np.shape(second), np.nan)
    np.divide(100 * first, second, out=values, where=second > 0)
    return values


def _stacked(values: Sequence[Any]) -> Any:
    import numpy as np

    return np.stack(values)
