"""The check of one search range, whether of an objective's field or of a training's."""

from __future__ import annotations

from typing import Any

from mpobench.protocols import SearchChoices, Searched
from mpobench.testing.expect import expect


def values_to_try(label: str, search: Searched) -> tuple[Any, ...]:
    """The ends of a range, or all choices, after a check that tuning can search it.

    Args:
        label: Beginning of the sentence.
        search: Range or choices.

    Raises:
        AssertionError: If there is nothing to search.
    """
    if isinstance(search, SearchChoices):
        several = len(set(search.choices)) == len(search.choices) > 1
        expect(several, f"{label} has no two choices: name at least two, each once")
        return search.choices
    expect(search.low < search.high, f"{label} is empty: let low be less than high")
    expect(
        search.low > 0 or not search.log,
        f"{label} is logarithmic and begins at {search.low}: begin above 0",
    )
    return search.low, search.high
