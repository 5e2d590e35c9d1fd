"""The protocol around the epochs: progress, two stages, what is shared and what is carried over."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mujoco_samples import invent_pool, request
from plain_training import Learner
from safetensors.numpy import load_file

from mpobench import DivergedError, Objective, Trained, TrainingRequest, Workspace
from mpobench_mujoco import data, learner, policy, training
from mpobench_mujoco.settings import TrainingSettings

SMOKE_PAIRS = 8


def weights_in_float64(acting: policy.Policy) -> dict[str, torch.Tensor]:
    return {
        name: torch.tensor(value, dtype=torch.float64)
        for name, value in acting.items()
        if name not in policy.STATISTICS
    }


def train_plainly(env, wanted: TrainingRequest, workspace: Workspace) -> tuple[Learner, torch.Tensor | None]:
    """The whole of Table 7 in float64: the learner at the end, and log π_ref where there is one."""
    settings = env.training_settings(wanted)
    dataset = data.load_dataset(env, wanted.dataset, workspace, settings.stride)
    acting = policy.load(env.agent("original")[0])
    plain = Learner(weights_in_float64(acting), env.settings.task.action_std, settings.max_grad_norm)
    reference = torch.zeros(2 * SMOKE_PAIRS, dtype=torch.float64)
    pairs = env.pairs_per_update(wanted)

    def stage(objective: Objective, first: int, epochs: int, rate: float, pairs_per_update: int) -> None:
        per_epoch = SMOKE_PAIRS // pairs_per_update
        for epoch in range(epochs):
            order = learner.epoch_order(wanted.seed, first + epoch, SMOKE_PAIRS, pairs_per_update)
            updates = epoch * per_epoch + np.arange(per_epoch)
            progress = updates / max(epochs * per_epoch - 1, 1)
            past = updates / (epochs * per_epoch) if settings.schedule == "linear" else 0 * updates
            plain.epoch(
                objective,
                dataset.trajectories,
                dataset.chosen,
                dataset.rejected,
                reference,
                order,
                progress,
                rate * (1 - past),
            )

    if not wanted.objective.two_stage:
        with torch.no_grad():
            reference = plain.logps(dataset.trajectories, range(2 * SMOKE_PAIRS))
        stage(wanted.objective, 0, settings.epochs, settings.learning_rate, pairs)
        return plain, None
    cloning = request(env, "sft").objective
    stage(cloning, 0, settings.sft_epochs, settings.learning_rate, settings.pairs_per_update)
    for name in learner.RATIOS:
        plain.curves[name] = [float("nan")] * settings.sft_epochs
    with torch.no_grad():
        reference = plain.logps(dataset.trajectories, range(2 * SMOKE_PAIRS))
    if not settings.keep_optimizer_state:
        plain.forget()
    stage(wanted.objective, settings.sft_epochs, settings.po_epochs, settings.po_learning_rate, pairs)
    return plain, reference


@pytest.mark.parametrize(
    ("objective", "overrides"),
    [
        ("sft", {}),
        ("tampo", {"epochs": 2, "pairs_per_update": 3}),
        ("dpo", {"keep_optimizer_state": True}),
        ("dpo", {"keep_optimizer_state": False, "po_learning_rate": 1e-3, "po_epochs": 2}),
        ("kto", {"po_learning_rate": 1e-3, "po_epochs": 3}),
        ("orpo", {"schedule": "linear"}),
        ("dpo", {"schedule": "linear", "po_learning_rate": 1e-3, "po_epochs": 2}),
        ("aot", {"po_learning_rate": 1e-3, "po_pairs_per_update": 4}),
        ("dpo:beta=2", {"keep_optimizer_state": True, "po_learning_rate": 1e-3, "max_grad_norm": 0.1}),
    ],
)
def test_a_training_equals_the_plain_protocol(tla, invented, objective, overrides):
    wanted = request(tla, objective, "noisy:0.3", seed=1, **overrides)
    invent_pool(tla, wanted.dataset, invented)
    settings = tla.training_settings(wanted)
    trained = training.train(tla, wanted, invented)
    plain, reference = train_plainly(tla, wanted, invented)
    original = data.agent_policy(tla, "original")
    last_rate = settings.po_learning_rate if wanted.objective.two_stage else settings.learning_rate
    for name, expected in plain.weights.items():
        moved = np.abs(expected.numpy() - original[name]).max()
        assert moved > last_rate
        np.testing.assert_allclose(trained.policy[name], expected, rtol=0, atol=0.02 * moved)
    for quantity, values in plain.curves.items():
        np.testing.assert_allclose(trained.curves[quantity], values, rtol=2e-3, atol=2e-3)
    if reference is not None:
        stored = training.sft_stage(tla, wanted, invented)["reference"]
        np.testing.assert_allclose(stored, reference, rtol=1e-4)


class Clock(Objective):
    """Its loss is the progress, so that the curves show it."""

    def loss(self, batch):
        return 0 * batch.chosen.mean + batch.progress


class Collapsing(Objective):
    """The logarithm of a negative number, from half of training on."""

    def loss(self, batch):
        return batch.xp.log(0.5 - batch.progress) * batch.chosen.mean


def custom(env, workspace, objective: Objective, **overrides) -> Trained:
    wanted = request(env, "sft", **overrides)
    invent_pool(env, wanted.dataset, workspace)
    return training.train(
        env, TrainingRequest(wanted.dataset, "mine", objective, wanted.seed, overrides), workspace
    )


def test_progress_runs_from_zero_to_one(tla, invented):
    curves = custom(tla, invented, Clock(), epochs=3, pairs_per_update=2).curves
    steps = np.linspace(0, 1, 3 * SMOKE_PAIRS // 2).reshape(3, -1)
    np.testing.assert_allclose(curves["loss"], steps.mean(axis=1), rtol=1e-5)
    assert curves["stage"] == ["po"] * 3


def test_minibatches_that_do_not_divide_the_data_drop_the_rest(tla, invented):
    curves = custom(tla, invented, Clock(), epochs=2, pairs_per_update=3).curves
    np.testing.assert_allclose(curves["loss"], [1 / 6, 5 / 6], rtol=1e-5)


def test_a_loss_that_leaves_the_finite_numbers_is_reported(tla, invented):
    with pytest.raises(DivergedError, match="not finite after epoch 2 of the po stage"):
        custom(tla, invented, Collapsing(), epochs=3)


def test_the_sft_stage_is_made_once_and_shared(tla, invented, fresh):
    wanted = [request(tla, objective, "mixed", seed=3) for objective in ("dpo", "ipo")]
    invent_pool(tla, wanted[0].dataset, fresh)
    stages = [tla.prerequisites(each)[-1] for each in wanted]
    assert stages[0].key == stages[1].key
    file = fresh.cache / stages[0].path
    reports: list[tuple[str, float]] = []
    listening = Workspace(fresh.cache, lambda phase, fraction: reports.append((phase, fraction)))
    tla.prepare(stages[0].payload, listening)
    epochs = tla.training_settings(wanted[0]).sft_epochs
    assert reports == [("SFT stages", (epoch + 1) / epochs) for epoch in range(epochs)]
    made, content = file.stat(), file.read_bytes()
    reports.clear()
    results = [training.train(tla, each, listening) for each in wanted]
    assert {phase for phase, _ in reports} == {"training"}, "no SFT stage ran again"
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)
    assert file.read_bytes() == content
    for quantity in learner.EpochCurves._fields:
        first, second = (trained.curves[quantity] for trained in results)
        np.testing.assert_array_equal(first[:epochs], second[:epochs])
        assert np.isnan(first[:epochs]).all() == (quantity in learner.RATIOS)
        assert np.isfinite(first[epochs:]).all()
    sft = load_file(file)
    for name, value in results[0].policy.items():
        if name.startswith(policy.REFERENCE):
            np.testing.assert_array_equal(value, sft[f"weights.{name.removeprefix(policy.REFERENCE)}"])
    assert (
        results[0].curves["stage"] == ["sft"] * epochs + ["po"] * tla.training_settings(wanted[0]).po_epochs
    )
    assert not np.array_equal(results[0].policy["w1"], results[1].policy["w1"])
    assert [path.name for path in file.parent.iterdir() if path.suffix == ".partial"] == []


def test_references_are_those_of_the_sft_weights(tla, invented):
    wanted = request(tla, "dpo", "noisy:0.3", seed=2)
    invent_pool(tla, wanted.dataset, invented)
    sft = training.sft_stage(tla, wanted, invented)
    weights = {
        name.removeprefix("weights."): value for name, value in sft.items() if name.startswith("weights.")
    }
    dataset = data.load_dataset(tla, wanted.dataset, invented, tla.training_settings(wanted).stride)
    logps = learner.all_logps(weights, dataset.trajectories, tla.settings.task.action_std)
    np.testing.assert_allclose(sft["reference"], logps, rtol=1e-6)
    # A PO stage that stands still sees log-ratios of nil: DPO's loss is log 2
    curves = training.train(
        tla, request(tla, "dpo", "noisy:0.3", seed=2, po_learning_rate=1e-30), invented
    ).curves
    np.testing.assert_allclose(curves["loss"][-1], np.log(2), rtol=1e-5)


def test_pair_logps_are_those_of_the_sft_policy(tla, invented):
    wanted = request(tla, "dpo", "noisy:0.3", seed=3, po_learning_rate=1e-30, po_epochs=1)
    invent_pool(tla, wanted.dataset, invented)
    curves = training.train(tla, wanted, invented).curves
    chosen, rejected = tla.pair_logps(wanted.dataset, invented)
    assert chosen.mean.shape == rejected.mean.shape == (SMOKE_PAIRS,)
    np.testing.assert_allclose(curves["logp_chosen"][-1], chosen.mean.mean(), rtol=1e-5)
    np.testing.assert_allclose(curves["logp_rejected"][-1], rejected.mean.mean(), rtol=1e-5)


@pytest.mark.parametrize("objective", ["sft", "dpo"])
def test_a_policy_may_start_from_random_weights(tla, invented, objective):
    """Drawn from the training's seed; then nothing of the original agent is left but its statistics."""
    standing = {"learning_rate": 1e-30, "po_learning_rate": 1e-30, "start": "random"}
    trained = []
    for seed in (0, 1):
        wanted = request(tla, objective, seed=seed, **standing)
        invent_pool(tla, wanted.dataset, invented)
        trained.append(training.train(tla, wanted, invented).policy)
        expected = policy.random_weights(data.agent_policy(tla, "original"), seed)
        for name, value in expected.items():
            np.testing.assert_allclose(trained[-1][name], value, rtol=0, atol=1e-20)
    assert not np.array_equal(trained[0]["w1"], trained[1]["w1"])


def test_an_sft_stage_is_the_beginning_of_sft(tla, invented):
    """So that a two-stage objective can be compared with its own first stage."""
    wanted = request(tla, "dpo", seed=6)
    invent_pool(tla, wanted.dataset, invented)
    epochs = tla.training_settings(wanted).sft_epochs
    alone = training.train(tla, request(tla, "sft", seed=6, epochs=epochs), invented)
    sft = training.sft_stage(tla, wanted, invented)
    np.testing.assert_allclose(sft["curves.loss"], alone.curves["loss"], rtol=1e-5)
    np.testing.assert_allclose(sft["weights.w1"], alone.policy["w1"], atol=1e-5)


def test_a_training_repeats_itself_and_leaves_the_statistics_alone(tla, invented):
    wanted = request(tla, "orpo", seed=4)
    invent_pool(tla, wanted.dataset, invented)
    first, second = (training.train(tla, wanted, invented) for _ in range(2))
    original = data.agent_policy(tla, "original")
    for name, value in first.policy.items():
        np.testing.assert_array_equal(value, second.policy[name])
        if name.startswith(policy.REFERENCE):
            np.testing.assert_array_equal(value, original[name.removeprefix(policy.REFERENCE)])
            continue
        assert np.array_equal(value, original[name]) == (name in policy.STATISTICS)
    assert first.curves == second.curves
    assert first.seconds.keys() == {"load", "train"}


def test_what_an_sft_stage_file_holds(tla, invented):
    wanted = request(tla, "dpo", seed=5)
    invent_pool(tla, wanted.dataset, invented)
    training.sft_stage(tla, wanted, invented)
    file = invented.cache / tla.sft_path(wanted)
    stored, settings = load_file(file), TrainingSettings.model_validate(tla.training_settings(wanted))
    assert stored["count"] == settings.sft_epochs * (SMOKE_PAIRS // settings.pairs_per_update)
    weights = {"w1", "b1", "w2", "b2", "w3", "b3"}
    curves = {f"curves.{name}" for name in learner.EpochCurves._fields if name not in learner.RATIOS}
    moments = {f"{part}.{name}" for part in ("weights", "mu", "nu") for name in weights}
    assert stored.keys() == moments | curves | {"count", "reference"}
