"""What every registered objective must satisfy, whoever wrote it."""

from __future__ import annotations

import importlib
import pickle
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pydantic
import pytest
import torch
from objective_samples import (
    CARDS,
    FORMULAS,
    LIBRARIES,
    VARIANTS,
    Pairs,
    has_networks,
    numeric_fields,
    random_pairs,
    schema,
)
from objective_samples import torch_gradients as by_torch

from mpobench import Objective

every_variant = pytest.mark.parametrize("objective", VARIANTS.values(), ids=VARIANTS.keys())
every_formula = pytest.mark.parametrize("objective", FORMULAS.values(), ids=FORMULAS.keys())

ZEROS = np.zeros(6)
EXTREMES = {
    # log-ratios and margins of 10⁴ nats in either direction, over one step or a thousand
    "far": Pairs(
        chosen=np.array([-1e4, -1.0, -1e4, -1.0, -1e4, -1.0]),
        rejected=np.array([-1.0, -1e4, -1.0, -1e4, -1e4, -1.0]),
        reference_chosen=np.array([-1.0, -1e4, -1e4, -1.0, -1.0, -1e4]),
        reference_rejected=np.array([-1e4, -1.0, -1.0, -1e4, -1e4, -1.0]),
        chosen_length=np.array([1.0, 1.0, 1e3, 1e3, 1.0, 1e3]),
        rejected_length=np.array([1.0, 1.0, 1e3, 1e3, 1e3, 1.0]),
    ),
    "equal": Pairs(*[np.full(6, -7.0)] * 4, *[np.full(6, 5.0)] * 2),
    # π → 1 from below, and densities, whose logarithm may be 0 or positive
    "certain": Pairs(
        chosen=np.array([-1e-30, -0.0, 0.0, 5.0, -3.0, -1e-7]),
        rejected=np.array([-3.0, 0.0, -1e-30, -3.0, 5.0, -1e-7]),
        reference_chosen=ZEROS,
        reference_rejected=ZEROS,
        chosen_length=np.ones(6),
        rejected_length=np.ones(6),
    ),
}


def rounding(objective: Objective, values: np.ndarray, rtol: float, atol: float) -> dict[str, float]:
    """The tolerances, but for networks: they add up powers and exponentials that may nearly cancel."""
    if not has_networks(objective):
        return {"rtol": rtol, "atol": atol}
    return {"rtol": 1e-3, "atol": 1e-4 * np.abs(values).max(initial=1e-3)}


def jax_gradients(objective: Objective, pairs: Pairs, dtype: str) -> tuple[np.ndarray, ...]:
    """As ``torch_gradients``, by jax."""

    def loss(chosen, rejected):
        return objective.loss(pairs.batch("jax.numpy", dtype, chosen=chosen, rejected=rejected))

    sides = (jnp.asarray(pairs.chosen, dtype), jnp.asarray(pairs.rejected, dtype))
    value, pull_back = jax.vjp(loss, *sides)
    return tuple(np.asarray(array) for array in (value, *pull_back(jnp.ones_like(value))))


@every_variant
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_one_loss_per_pair_in_the_batch_library_and_dtype(objective, library, dtype):
    with jax.enable_x64(dtype == "float64"):
        batch = random_pairs(0, pairs=5).batch(library, dtype)
        loss = objective.loss(batch)
        assert loss.shape == (5,)
        assert loss.dtype == getattr(importlib.import_module(library), dtype)
        assert type(loss) is type(batch.chosen.total)


@every_variant
@pytest.mark.parametrize(
    ("pairs", "progress"), [("far", 0.0), ("far", 1.0), ("equal", 0.5), ("certain", 0.0), ("certain", 1.0)]
)
@pytest.mark.parametrize("gradients", [by_torch, jax_gradients], ids=["torch", "jax"])
def test_value_and_gradient_stay_finite(objective, pairs, progress, gradients):
    for array in gradients(objective, replace(EXTREMES[pairs], progress=progress), "float32"):
        assert np.isfinite(array).all()


@every_formula
@pytest.mark.parametrize("seed", range(3))
def test_jax_and_torch_agree(objective, seed):
    # Near a kink of a network, single precision decides how steep it is.
    pairs, dtype = random_pairs(seed), "float64" if has_networks(objective) else "float32"
    with jax.enable_x64(dtype == "float64"):
        ours, theirs = jax_gradients(objective, pairs, dtype), by_torch(objective, pairs, dtype)
    for mine, other in zip(ours, theirs, strict=True):
        tolerances = rounding(objective, other, rtol=2e-5, atol=2e-5 * np.abs(other).max(initial=1e-3))
        np.testing.assert_allclose(mine, other, **tolerances)


@every_variant
def test_order_of_pairs_does_not_matter(objective):
    pairs = random_pairs(4)
    backwards = Pairs(
        **{
            name: value[::-1] if isinstance(value, np.ndarray) else value
            for name, value in vars(pairs).items()
        }
    )
    np.testing.assert_allclose(
        objective.loss(backwards.batch("numpy", "float64"))[::-1],
        objective.loss(pairs.batch("numpy", "float64")),
        rtol=1e-12,
    )


@every_formula
def test_numeric_fields_are_traced_and_compile_once(objective):
    batch = random_pairs(5).batch("jax.numpy", "float32")
    traces = 0

    @jax.jit
    def loss(fields):
        nonlocal traces
        traces += 1
        return objective.model_copy(update=fields).loss(batch)

    searched = numeric_fields(objective)
    ends = [{name: field["search"][end] for name, field in searched.items()} for end in ("low", "high")]
    for fields in ends:
        expected = objective.model_copy(update=fields).loss(batch)
        tolerances = rounding(objective, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(loss(fields), expected, **tolerances)
    assert traces == 1
    if searched:  # the fields do something, and each value of a population gets its own loss
        assert not np.allclose(loss(ends[0]), loss(ends[1]))
        population = {name: jnp.asarray([end[name] for end in ends]) for name in searched}
        alone = jnp.stack([loss(end) for end in ends])
        tolerances = rounding(objective, alone, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(jax.vmap(loss)(population), alone, **tolerances)
        slopes = jax.jit(jax.grad(lambda fields: loss(fields).sum()))(ends[0])
        assert all(np.isfinite(slope) for slope in slopes.values())


@every_formula
def test_numeric_fields_are_traced_by_torch(objective):
    fields = {
        name: torch.tensor(float(getattr(objective, name)), requires_grad=True)
        for name in numeric_fields(objective)
    }
    loss = objective.model_copy(update=fields).loss(random_pairs(5).batch("torch", "float32"))
    assert loss.dtype == torch.float32
    if fields:
        slopes = torch.autograd.grad(loss.sum(), list(fields.values()), allow_unused=True)
        read = [slope for slope in slopes if slope is not None]
        assert read, "some number decides the loss; another may matter under another choice only"
        assert all(torch.isfinite(slope) for slope in read)


@every_formula
def test_progress_may_be_a_number_an_array_or_a_tracer(objective):
    pairs = random_pairs(6)
    expected = objective.loss(pairs.batch("numpy", "float32"))
    tolerances = rounding(objective, expected, rtol=1e-5, atol=1e-5)
    for library in LIBRARIES:
        xp = importlib.import_module(library)
        batch = pairs.batch(library, "float32", progress=xp.asarray(pairs.progress, dtype=xp.float32))
        np.testing.assert_allclose(objective.loss(batch), expected, **tolerances)
    traced = jax.jit(lambda t: objective.loss(pairs.batch("jax.numpy", "float32", progress=t)))
    np.testing.assert_allclose(traced(pairs.progress), expected, **tolerances)


@every_variant
def test_reads_a_reference_only_if_it_says_so(objective):
    batch = random_pairs(7).batch("numpy", "float64")
    alone = replace(batch, reference_chosen=None, reference_rejected=None)
    if objective.needs_reference:
        assert objective.two_stage, "a reference policy is what the SFT stage leaves"
        with pytest.raises(ValueError, match="needs reference log-probabilities"):
            objective.loss(alone)
    else:
        np.testing.assert_array_equal(objective.loss(alone), objective.loss(batch))


@every_variant
def test_is_a_value(objective):
    copy = pickle.loads(pickle.dumps(objective))
    assert copy == objective
    assert hash(copy) == hash(objective)
    assert type(objective)(**objective.model_dump()) == objective, "the defaults lie within the bounds"
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        objective.surprise = 1
    with pytest.raises(pydantic.ValidationError, match="surprise"):
        type(objective)(surprise=1)


@pytest.mark.parametrize("name", CARDS)
def test_fields_are_described_bounded_and_searchable(name):
    objective = VARIANTS[name]
    for field, description in schema(objective).items():
        assert description.get("description"), f"{name}.{field} has no description"
    for field, description in numeric_fields(objective).items():
        assert {"minimum", "exclusiveMinimum"} & description.keys(), f"{name}.{field} has no lower bound"
        search = description["search"]
        assert search["low"] < search["high"]
        assert search["low"] > 0 or not search["log"]
        for end in ("low", "high"):
            assert getattr(type(objective)(**{field: search[end]}), field) == search[end]


@pytest.mark.parametrize("name", CARDS)
def test_says_where_it_comes_from(name):
    assert CARDS[name].card.citation
    assert type(VARIANTS[name]).__doc__
