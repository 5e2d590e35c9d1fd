"""The compiled epoch against a plain float64 torch loop, for every registered objective."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mujoco_samples import random_policy
from plain_training import Learner

from mpobench import Objective
from mpobench.registry.registry import get_registry
from mpobench_mujoco import learner, xla

OBJECTIVES = [registered.card.name for registered in get_registry().cards("objective")]
N, OBS, ACTIONS, STEPS, STD, CLIP, RATE = 12, 5, 3, 20, 0.4, 1.3, 1e-3
CHOSEN, REJECTED = np.array([0, 7, 2, 9, 4, 11]), np.array([6, 1, 8, 3, 10, 5])
WEIGHTS = {name: value for name, value in random_policy(0, OBS, ACTIONS).items() if "obs" not in name}


def trajectories(dtype: str) -> learner.Trajectories:
    rng = np.random.default_rng(1)
    return learner.Trajectories(
        jnp.asarray(rng.normal(size=(N, OBS, STEPS)).astype(np.float32), dtype),
        jnp.asarray(rng.uniform(-1.2, 1.2, (N, ACTIONS, STEPS)).astype(np.float32), dtype),
        jnp.asarray(rng.integers(3, STEPS + 1, N, dtype=np.int32)),
    )


REFERENCE = -np.random.default_rng(2).uniform(20, 60, N).astype(np.float32)
"""Log-probabilities under a policy that is not the one being trained."""


def fading(progress: np.ndarray) -> np.ndarray:
    """Learning rates that differ between updates."""
    return RATE * (1 - 0.4 * progress)


run_epoch_once = functools.partial(jax.jit, static_argnums=0, compiler_options=xla.ONCE)(
    learner.run_epoch.__wrapped__
)
"""The same epoch, compiled for a single call: each objective is another program."""


def train(
    objective: Objective,
    dtype: str,
    orders: list[np.ndarray],
    progress: list[np.ndarray],
    run_epoch: Callable[..., Any] = learner.run_epoch,
) -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    """Some epochs by the compiled program: new weights and curves."""
    data = trajectories(dtype)
    program = learner.Program(objective.static, STD, CLIP)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), objective.params)
    weights = {name: jnp.asarray(value, dtype) for name, value in WEIGHTS.items()}
    pairs = learner.Pairs(jnp.asarray(CHOSEN), jnp.asarray(REJECTED), jnp.asarray(REFERENCE, dtype))
    state, curves = program.optimizer.init(weights), {name: [] for name in learner.EpochCurves._fields}
    for order, now in zip(orders, progress, strict=True):
        weights, state, means = run_epoch(
            program,
            params,
            weights,
            state,
            data,
            pairs,
            jnp.asarray(order),
            jnp.asarray(now, dtype),
            jnp.asarray(fading(now), dtype),
        )
        for name, value in means._asdict().items():
            curves[name].append(float(value))
    return {name: np.asarray(value) for name, value in weights.items()}, curves


def train_plainly(
    objective: Objective, orders: list[np.ndarray], progress: list[np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    data = trajectories("float32")
    weights = {name: torch.tensor(value, dtype=torch.float64) for name, value in WEIGHTS.items()}
    plain = Learner(weights, STD, CLIP)
    logps = torch.tensor(REFERENCE, dtype=torch.float64)
    for order, now in zip(orders, progress, strict=True):
        plain.epoch(objective, data, CHOSEN, REJECTED, logps, order, now, fading(now))
    return {name: value.numpy() for name, value in plain.weights.items()}, plain.curves


ONE_UPDATE = [np.array([[1, 4]])], [np.array([0.0], np.float32)]
TWO_EPOCHS = (
    [np.array([[0, 3], [5, 1], [2, 4]]), np.array([[4, 5], [0, 2], [1, 3]])],
    list(np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)),
)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_epochs_equal_the_plain_loop(name, tla):
    objective = get_registry().build("objective", name, tla.objective_defaults).component
    expected, curves = train_plainly(objective, *TWO_EPOCHS)
    with jax.enable_x64(True):
        exact, exact_curves = train(objective, "float64", *TWO_EPOCHS, run_epoch_once)
    for part, weight in expected.items():
        assert np.abs(weight - WEIGHTS[part]).max() > 0.1 * RATE  # six updates have moved it
        np.testing.assert_allclose(exact[part], weight, rtol=0, atol=1e-6 * RATE)
    for quantity, values in curves.items():
        np.testing.assert_allclose(exact_curves[quantity], values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["dpo", "orpo", "tampo"])
def test_float32_differs_by_rounding_only(name, tla):
    objective = get_registry().build("objective", name, tla.objective_defaults).component
    for orders, progress in (ONE_UPDATE, TWO_EPOCHS):
        expected, curves = train_plainly(objective, orders, progress)
        ours, our_curves = train(objective, "float32", orders, progress)
        for part, weight in expected.items():
            assert ours[part].dtype == np.float32
            np.testing.assert_allclose(ours[part], weight, rtol=0, atol=0.01 * RATE)
        for quantity, values in curves.items():
            np.testing.assert_allclose(our_curves[quantity], values, rtol=1e-5, atol=1e-5)


def test_changing_a_number_compiles_nothing(tla):
    def built(spec):
        return get_registry().build("objective", spec, tla.objective_defaults).component

    first, _ = train(built("simpo:beta=1,gamma=0.1"), "float32", *ONE_UPDATE)
    compiled = learner.run_epoch._cache_size()
    second, _ = train(built("simpo:beta=3,gamma=0.7"), "float32", *ONE_UPDATE)
    assert learner.run_epoch._cache_size() == compiled
    assert not np.allclose(first["w3"], second["w3"], rtol=0, atol=0.01 * RATE)
    train(built("tampo:schedule=linear"), "float32", *ONE_UPDATE)
    train(built("tampo:schedule=linear,beta=5"), "float32", *ONE_UPDATE)
    train(built("tampo:schedule=sigmoid"), "float32", *ONE_UPDATE)
    assert learner.run_epoch._cache_size() == compiled + 2, "another choice is another program"


class PerTrajectory(Objective):
    """A mistake: one loss per trajectory, not per pair."""

    def loss(self, batch):
        return batch.xp.concat([batch.chosen.mean, batch.rejected.mean])


def test_a_loss_of_the_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"PerTrajectory\.loss returned shape \(4,\).*\(2,\), is needed"):
        train(PerTrajectory(), "float32", *ONE_UPDATE)


@given(
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 20),
    pairs=st.integers(1, 60),
    size=st.integers(1, 7),
)
def test_an_order_is_a_permutation_cut_into_minibatches(seed, epoch, pairs, size):
    order = learner.epoch_order(seed, epoch, pairs, size)
    assert order.shape == (pairs // size, size)
    assert len(set(order.ravel().tolist())) == order.size
    assert ((order >= 0) & (order < pairs)).all()
    np.testing.assert_array_equal(learner.epoch_order(seed, epoch, pairs, size), order)


def test_orders_differ_between_seeds_and_epochs():
    orders = [learner.epoch_order(seed, epoch, 50, 2).tobytes() for seed in (0, 1) for epoch in range(12)]
    assert len(set(orders)) == len(orders)
