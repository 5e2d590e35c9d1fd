"""Many policies in one program: the same as each alone, up to rounding."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from mujoco_samples import invent_pool, request
from plain_training import Learner

from mpobench import Objective, TrainingRequest, Workspace
from mpobench.registry.registry import get_registry
from mpobench_mujoco import data, learner, policy, training, xla
from mpobench_mujoco.group_epoch import run_group_epoch

OBJECTIVES = [registered.card.name for registered in get_registry().cards("objective")]


def all_requests(tla, invented: Workspace, *asked: tuple, **overrides) -> list[TrainingRequest]:
    """Requests of (objective, corruption, seed) of one group, and their data."""
    requests = [request(tla, *each, **overrides) for each in asked]
    for each in requests:
        invent_pool(tla, each.dataset, invented)
    assert len({tla.group_key(each) for each in requests}) == 1
    return requests


def assert_as_alone(
    tla, requests: list[TrainingRequest], invented: Workspace, before: list[policy.Policy]
) -> None:
    """Each policy is where training alone takes it, within 2 % of the way from where it was before."""
    found = training.train_group(tla, requests, invented)
    for wanted, trained, start in zip(requests, found, before, strict=True):
        alone = training.train(tla, wanted, invented)
        for name, value in alone.policy.items():
            if name.startswith(policy.REFERENCE):
                np.testing.assert_allclose(trained.policy[name], value, rtol=2e-3, atol=2e-3)
                continue
            moved = np.abs(value - start[name]).max()
            assert (moved > 1e-4) == (name not in policy.STATISTICS)
            np.testing.assert_allclose(trained.policy[name], value, rtol=0, atol=0.02 * moved)
        assert trained.curves.keys() == alone.curves.keys()
        assert trained.curves["stage"] == alone.curves["stage"]
        for quantity in learner.EpochCurves._fields:
            np.testing.assert_allclose(
                trained.curves[quantity], alone.curves[quantity], rtol=2e-3, atol=2e-3, err_msg=quantity
            )


@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_a_group_may_differ_in_seeds_labels_numbers_and_objectives(tla, invented, schedule):
    asked = [
        ("sft", "base", 0),
        ("tampo:beta=2", "base", 1),
        ("orpo", "noisy:0.3", 0),
        ("tampo:beta=0.5", "mixed", 2),
        ("sft", "base", 3),
    ]
    before = [data.agent_policy(tla, "original")] * len(asked)
    assert_as_alone(tla, all_requests(tla, invented, *asked, schedule=schedule), invented, before)


@pytest.mark.parametrize("keep_optimizer_state", [True, False])
def test_objectives_with_a_reference_form_groups(tla, invented, fresh, keep_optimizer_state):
    requests = all_requests(
        tla,
        fresh,
        ("dpo", "base", 0),
        ("ipo", "base", 0),
        ("dpo:beta=3", "noisy:0.3", 1),
        keep_optimizer_state=keep_optimizer_state,
        po_learning_rate=1e-3,
        po_epochs=2,
    )
    stages = [tla.prerequisites(each)[-1] for each in requests]
    assert {stage.phase for stage in stages} == {"SFT stages"}
    assert len({stage.group_key for stage in stages}) == 1
    assert stages[0].key == stages[1].key != stages[2].key
    reports: list[tuple[str, float]] = []
    listening = replace(fresh, report=lambda *report: reports.append(report))
    tla.prepare_group([stage.payload for stage in stages[1:]], listening)
    epochs = tla.training_settings(requests[0]).sft_epochs
    assert len(reports) == epochs, "one program for both"
    before = []
    for stage, wanted in zip(stages, requests, strict=True):
        invent_pool(tla, wanted.dataset, invented)
        assert (fresh.cache / stage.path).exists()
        alone = training.sft_stage(tla, wanted, invented)
        found = training.sft_stage(tla, wanted, fresh)
        assert found.keys() == alone.keys()
        for name, value in alone.items():
            np.testing.assert_allclose(
                found[name], value, rtol=2e-3, atol=2e-3 * np.abs(value).max(), err_msg=name
            )
        original = data.agent_policy(tla, "original")
        before.append({name: found.get(f"weights.{name}", value) for name, value in original.items()})
    assert_as_alone(tla, requests, fresh, before)


def test_losses_that_depend_on_their_batch_form_groups_of_their_own(tla, invented):
    requests = all_requests(
        tla, invented, ("kto", "base", 0), ("aot", "noisy:0.3", 1), po_learning_rate=1e-3, po_epochs=2
    )
    assert tla.group_key(requests[0]) != tla.group_key(request(tla, "dpo", po_epochs=2))
    before = []
    for wanted in requests:
        sft = training.sft_stage(tla, wanted, invented)
        original = data.agent_policy(tla, "original")
        before.append({name: sft.get(f"weights.{name}", value) for name, value in original.items()})
    assert_as_alone(tla, requests, invented, before)


class Collapsing(Objective):
    """The logarithm of a negative number, from half of training on."""

    def loss(self, batch):
        return batch.xp.log(0.5 - batch.progress) * batch.chosen.mean


def test_one_that_diverges_takes_no_other_with_it(tla, invented):
    good, other = all_requests(tla, invented, ("sft", "base", 0), ("sft", "base", 1))
    bad = TrainingRequest(good.dataset, "collapsing", Collapsing(), 0)
    first, nothing, last = training.train_group(tla, [good, bad, other], invented)
    assert nothing is None
    for found, wanted in ((first, good), (last, other)):
        alone = training.train(tla, wanted, invented)
        np.testing.assert_allclose(found.curves["loss"], alone.curves["loss"], rtol=1e-4)


def test_trainings_of_different_programs_have_different_group_keys(tla):
    def group_key(*asked, **overrides):
        return tla.group_key(request(tla, *asked, **overrides))

    here = group_key("sft", "base", 0)
    assert here
    assert here == group_key("orpo:lam=3", "noisy:0.3", 7) == group_key("sft", "base", 0, learning_rate=1e-5)
    assert here == group_key("sft", "mixed", 0) == group_key("sft", "mixed", 1), "other trajectories"
    assert here != group_key("sft", "base", 0, epochs=7)
    assert here != group_key("sft", "base", 0, pairs_per_update=4)
    assert here != group_key("sft", "base", 0, schedule="linear"), "its rates fall"
    assert here != group_key("dpo", "base", 0), "its second stage is shorter"
    assert group_key("dpo", "base", 0) == group_key("ipo", "noisy:0.1", 1)


@pytest.mark.slow
def test_every_objective_moves_its_own_policies_alone(tla):
    """All that are registered in one program, two policies each, against a plain loop in float64."""
    rng, orders = np.random.default_rng(0), np.array([[[0, 1], [2, 3]], [[3, 0], [1, 2]]])
    progress, std, clip = np.array([0.0, 1.0]), 0.4, 1.3
    rates = np.array([[1e-3, 1e-2], [5e-4, 2e-3]])
    chosen, rejected, reference = np.arange(4), np.arange(4, 8), -rng.uniform(5, 20, 8)
    sizes = {"w1": (64, 5), "b1": (64, 1), "w2": (64, 64), "b2": (64, 1), "w3": (3, 64), "b3": (3, 1)}
    starts = [{key: 0.2 * rng.normal(size=size) for key, size in sizes.items()} for _ in orders]
    built = [get_registry().build("objective", name, tla.objective_defaults).component for name in OBJECTIVES]

    def stack(trees):
        return jax.tree.map(lambda *parts: jnp.stack(parts), *trees)

    with jax.enable_x64(True):
        trajectories = learner.Trajectories(
            jnp.asarray(rng.normal(size=(8, 5, 12))),
            jnp.asarray(rng.uniform(-1, 1, (8, 3, 12))),
            jnp.asarray(rng.integers(3, 13, 8)),
        )
        programs = [learner.Program(each.static, std, clip) for each in built]
        params = [jax.tree.map(lambda leaf: jnp.asarray(leaf, float), each.params) for each in built]
        weights = stack([jax.tree.map(jnp.asarray, start) for start in starts] * len(built))
        pairs = learner.Pairs(jnp.asarray(chosen), jnp.asarray(rejected), jnp.asarray(reference))
        moved, _, curves = run_group_epoch(
            tuple((program, 2) for program in programs),
            tuple(stack([own, own]) for own in params),
            weights,
            jax.vmap(programs[0].optimizer.init)(weights),
            trajectories,
            stack([pairs] * 2 * len(built)),
            jnp.tile(jnp.asarray(orders), (len(built), 1, 1)),
            jnp.asarray(progress),
            jnp.tile(jnp.asarray(rates), (1, len(built))),
        )
    for place, (objective, which) in enumerate(itertools.product(built, (0, 1))):
        start = {key: torch.tensor(value) for key, value in starts[which].items()}
        plain = Learner(start, std, clip)
        plain.epoch(
            objective,
            trajectories,
            chosen,
            rejected,
            torch.tensor(reference),
            orders[which],
            progress,
            rates[:, which],
        )
        for key, value in plain.weights.items():
            np.testing.assert_allclose(moved[key][place], value, rtol=0, atol=1e-6 * rates[0, which])
        for quantity, values in plain.curves.items():
            np.testing.assert_allclose(getattr(curves, quantity)[place], values[0], rtol=1e-6, atol=1e-6)


def test_a_processor_trains_one_by_one(tla, monkeypatch):
    assert tla.group_size() == 1
    assert jax.default_backend() == "cpu"
    monkeypatch.setattr(xla, "entry_points", lambda group: [group])
    assert tla.group_size() == 1, "an accelerator's plugin without an accelerator"


def test_an_accelerator_trains_many_and_its_memory_is_shared(tla, monkeypatch):
    monkeypatch.setattr(xla, "entry_points", lambda group: [group])
    settings = dict.fromkeys(("PJRT_NPROC", "XLA_PYTHON_CLIENT_PREALLOCATE"))
    for name in settings:
        monkeypatch.setenv(name, "0")  # what was there comes back at the end
        monkeypatch.delenv(name)

    def backend() -> str:
        settings.update({name: os.environ.get(name) for name in settings})
        return "gpu"

    monkeypatch.setattr(jax, "default_backend", backend)
    assert tla.group_size() == xla.GROUP_SIZE
    assert settings == {"PJRT_NPROC": "1", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}, (
        "before the backend starts"
    )
