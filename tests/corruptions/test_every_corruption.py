"""What every registered corruption must satisfy, whoever wrote it."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pydantic
import pytest

from mpobench import ORIGINAL, TARGET, DatasetCorruption
from mpobench.registry.registry import get_registry

CARDS = {registered.card.name: registered.card for registered in get_registry().cards("corruption")}


def examples(cls: type[DatasetCorruption]) -> dict[str, Any]:
    """Values for the fields that have no default, from the examples in their descriptions."""
    return {name: field.examples[0] for name, field in cls.model_fields.items() if field.is_required()}


def build(name: str) -> DatasetCorruption:
    cls = get_registry().resolve("corruption", name)
    return cls(**examples(cls))


CORRUPTIONS = [pytest.param(build(name), id=name) for name in CARDS]
every_corruption = pytest.mark.parametrize("corruption", CORRUPTIONS)


@every_corruption
@pytest.mark.parametrize("pairs", [0, 1, 7])
def test_shapes_and_dtypes(corruption, pairs):
    rng = np.random.default_rng(0)
    sources = corruption.sources(pairs, rng)
    assert sources.shape == (pairs, 2)
    assert sources.dtype == np.int8
    assert np.isin(sources, [ORIGINAL, TARGET]).all()
    preference = corruption.preference(rng.normal(size=(pairs, 2)))
    assert preference.shape == (pairs,)
    assert preference.dtype == np.float64
    flips = corruption.flip(pairs, rng)
    assert flips.shape == (pairs,)
    assert flips.dtype == np.bool_


@every_corruption
def test_the_seed_decides(corruption):
    for decide in (corruption.sources, corruption.flip):
        first, again = (decide(1000, np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(first, again)


@every_corruption
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6, 1e300])
def test_preferences_are_probabilities_at_any_scale(corruption, scale):
    returns = scale * np.array([[1.0, -1.0], [-1.0, 1.0], [0.0, 0.0], [1.0, 1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        preference = corruption.preference(returns)
    assert ((preference >= 0) & (preference <= 1)).all()


@every_corruption
def test_is_a_value(corruption):
    assert pickle.loads(pickle.dumps(corruption)) == corruption
    assert hash(corruption) == hash(type(corruption)(**corruption.model_dump()))
    with pytest.raises(pydantic.ValidationError, match="surprise"):
        type(corruption)(**corruption.model_dump(), surprise=1)


@pytest.mark.parametrize("name", CARDS)
def test_fields_are_described_and_the_positional_one_exists(name):
    cls = get_registry().resolve("corruption", name)
    for field, description in cls.model_json_schema().get("properties", {}).items():
        assert description.get("description"), f"{name}.{field} has no description"
    assert CARDS[name].positional in {None, *cls.model_fields}
