"""Every registered objective keeps the promises of the protocol, and some that we ask of our own."""

from __future__ import annotations

import pytest
from objective_samples import CARDS, VARIANTS, numeric_fields

from mpobench.testing import check_objective

every_name = pytest.mark.parametrize("name", CARDS)


@every_name
def test_keeps_what_the_protocol_promises(name):
    check_objective(name)


@every_name
def test_numbers_are_bounded_and_searchable(name):
    for field, description in numeric_fields(VARIANTS[name]).items():
        assert {"minimum", "exclusiveMinimum"} & description.keys(), f"{name}.{field} has no lower bound"
        assert description["search"]["low"] < description["search"]["high"]


@every_name
def test_says_where_it_comes_from(name):
    assert CARDS[name].card.citation
    assert type(VARIANTS[name]).__doc__
