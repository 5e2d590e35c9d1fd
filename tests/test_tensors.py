"""Arrays as a field's value: equal by content, never changed, told by a digest."""

from __future__ import annotations

import json
import pickle
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from pydantic import Field, ValidationError

from mpobench import Objective, PreferenceBatch, Tensors
from mpobench.files.keys import content_key
from mpobench.registry.fields import describe, validated

ARRAYS = st.dictionaries(
    st.text(max_size=5),
    arrays_of.arrays(
        np.float32,
        arrays_of.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
        elements=st.floats(-10, 10, width=32, allow_subnormal=False),
    ),
    max_size=3,
)


class Weighted(Objective):
    """An objective with leaves of both kinds, and fields that are none."""

    weights: Tensors | None = Field(None, description="of a network")
    beta: float = Field(1.0, ge=0, description="scale")
    steps: int = 2
    tags: tuple[float, ...] = (1.0,)

    def loss(self, batch: PreferenceBatch) -> Any:
        return self.beta * batch.chosen.mean


@given(ARRAYS)
def test_is_a_value_that_survives_pickling(arrays: dict[str, Any]) -> None:
    tensors = Tensors(arrays)
    again = Tensors(dict(reversed(arrays.items())))
    assert tensors == again == pickle.loads(pickle.dumps(tensors))
    assert hash(tensors) == hash(again)
    assert tensors.sha256 == again.sha256
    assert set(tensors) == set(arrays)
    assert len(tensors) == len(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensors[name], array)
    assert "\n" not in repr(tensors)


@given(ARRAYS, ARRAYS)
def test_equal_only_where_names_shapes_and_numbers_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = one.keys() == other.keys() and all(
        one[name].shape == other[name].shape and one[name].tobytes() == other[name].tobytes() for name in one
    )
    assert (Tensors(one) == Tensors(other)) is same
    assert (Tensors(one).sha256 == Tensors(other).sha256) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": np.zeros(6)}, {"a": np.zeros((2, 3))}),
        ({"a": np.zeros(1)}, {"b": np.zeros(1)}),
        ({"a": np.zeros(2)}, {"a": np.zeros(1), "b": np.zeros(1)}),
        ({"a": np.zeros(())}, {}),
    ],
)
def test_different_though_their_bytes_may_agree(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = (
        Tensors({name: array.astype("float32") for name, array in each.items()}) for each in (one, other)
    )
    assert first != second
    assert first != {}


def test_cannot_be_changed() -> None:
    mine = np.ones(3, np.float32)
    tensors = Tensors({"a": mine})
    mine[0] = 7
    np.testing.assert_array_equal(tensors["a"], 1)
    with pytest.raises(ValueError, match="read-only"):
        tensors["a"][0] = 7
    with pytest.raises(TypeError):
        tensors["a"] = mine  # type: ignore[index]


@pytest.mark.parametrize(
    "array", [np.ones((2, 3), ">f4"), np.ones((3, 2), np.float32).T, jnp.ones((2, 3)), torch.ones(2, 3)]
)
def test_takes_arrays_of_any_library_order_and_byte_order(array: Any) -> None:
    assert Tensors({"a": array}) == Tensors({"a": np.ones((2, 3), np.float32)})


@pytest.mark.parametrize(
    ("given_", "line"),
    [
        ({"a": np.ones(2)}, "'a' has dtype float64, not float32"),
        ({"a": np.ones(2, int)}, "'a' has dtype int64, not float32"),
        ({"a": np.array([1, np.nan], np.float32)}, "'a' holds a number that is not finite"),
        ({"a": np.float32(np.inf)}, "'a' holds a number that is not finite"),
        ({"a": [1.0]}, "'a' is no array"),
        ({"sha256": "0" * 64}, "'sha256' is no array"),
        ("zeros", "arrays cannot be written in a spec: name an objective file"),
        (3, "arrays cannot be written in a spec"),
    ],
)
def test_what_is_no_float32_array_is_refused_in_one_line(given_: Any, line: str) -> None:
    with pytest.raises(ValidationError, match=line):
        Weighted(weights=given_)
    with pytest.raises(RuntimeError, match=line) as caught:
        validated(Weighted, {"weights": given_}, "objective 'weighted'", RuntimeError)
    assert "\n" not in str(caught.value)


def test_a_field_dumps_as_its_digest_in_json_and_as_itself_in_python() -> None:
    objective = Weighted(weights={"a": np.ones(3, np.float32)})
    assert isinstance(objective.weights, Tensors)
    dumped = objective.model_dump(mode="json")
    assert dumped["weights"] == {"sha256": objective.weights.sha256}
    assert json.loads(objective.model_dump_json()) == {**dumped, "tags": [1.0]}
    assert Weighted(**objective.model_dump()) == objective
    other = Weighted(weights={"a": np.zeros(3, np.float32)})
    assert content_key(other.model_dump(mode="json")) != content_key(dumped)
    assert {field.name: field.type for field in describe(Weighted)}["weights"] == "Tensors|null"


def test_leaves_are_what_a_trainer_may_trace_and_the_skeleton_is_the_rest() -> None:
    objective = Weighted(weights={"a": np.ones(3, np.float32)}, beta=2.0)
    assert list(objective.params) == ["weights", "beta"]
    assert type(objective.params["weights"]) is dict
    assert objective.params["beta"] == 2.0
    assert list(Weighted().params) == ["beta"]
    alike = Weighted(weights={"a": np.zeros(3, np.float32)}, beta=3.0)
    assert objective.static == alike.static
    assert hash(objective.static) == hash(alike.static)
    assert objective.static != Weighted().static, "without a network it is another program"
    assert objective.static != Weighted(weights=objective.weights, steps=3).static
    assert Weighted.model_validate(dict(objective.static.model_copy(update=objective.params))) == objective
