"""Training one policy on one dataset: the paper's protocol (Table 7), in one stage or two."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file, save_file

from mpobench import DatasetRequest, DivergedError, SequenceLogps, Trained, TrainingRequest, Workspace
from mpobench.files import locks
from mpobench.files.atomic import file_atomically
from mpobench_mujoco import data, learner, policy
from mpobench_mujoco.configuration import MujocoConfiguration
from mpobench_mujoco.epochs import StageLength, Trainee, run_stage
from mpobench_mujoco.settings import TrainingSettings

_SFT_CURVES = tuple(name for name in learner.EpochCurves._fields if name not in learner.RATIOS)


def initial_weights(env: MujocoConfiguration, training: TrainingSettings, seed: int) -> policy.Weights:
    """Weights at the start of a training; see :class:`~mpobench_mujoco.settings.TrainingSettings`."""
    original = data.agent_policy(env, "original")
    start = original if training.start == "original" else policy.random_weights(original, seed)
    return policy.weights_of(start)


def _no_reference(dataset: data.PreferenceData) -> jax.Array:
    return jnp.zeros(dataset.trajectories.lengths.shape)


def sft_stage(
    env: MujocoConfiguration, request: TrainingRequest, workspace: Workspace
) -> dict[str, np.ndarray]:
    """The SFT stage of a (dataset, seed), which all two-stage objectives share: cached, or made and kept.

    Returns:
        ``weights.*``, Adam's ``mu.*``, ``nu.*`` and ``count``, log π_ref(τ) of all trajectories as
        ``reference``, and ``curves.*``.

    Raises:
        DivergedError: When the loss or the weights leave the finite numbers.
    """
    file = _sft_file(env, request, workspace)

    def make() -> None:
        (trainee,) = _clone(env, [request], workspace)
        if trainee.diverged:
            raise DivergedError(trainee.diverged)
        _write_sft(file, env, trainee)

    locks.once(file, make)
    loaded: dict[str, np.ndarray] = load_file(file)
    return loaded


def sft_stages(env: MujocoConfiguration, requests: Sequence[TrainingRequest], workspace: Workspace) -> None:
    """Makes a group of SFT stages in one program; those that diverge are left out."""
    files = [_sft_file(env, request, workspace) for request in requests]
    missing = [(file, request) for file, request in zip(files, requests, strict=True) if not file.exists()]
    if not missing:
        return
    trainees = _clone(env, [request for _, request in missing], workspace)
    for (file, _), trainee in zip(missing, trainees, strict=True):
        if not trainee.diverged:
            _write_sft(file, env, trainee)


def _sft_file(env: MujocoConfiguration, request: TrainingRequest, workspace: Workspace) -> Path:
    return workspace.cache / env.sft_path(request)


def _clone(
    env: MujocoConfiguration, requests: Sequence[TrainingRequest], workspace: Workspace
) -> list[Trainee]:
    training = env.training_settings(requests[0])
    datasets = _datasets(env, requests, workspace, training.stride)
    trainees = [
        Trainee(
            learner.Cloning(),
            dataset,
            request.seed,
            initial_weights(env, env.training_settings(request), request.seed),
            _no_reference(dataset),
            env.training_settings(request).learning_rate,
        )
        for request, dataset in zip(requests, datasets, strict=True)
    ]
    std = env.settings.task.action_std
    length = StageLength(training.sft_epochs, training.pairs_per_update)
    run_stage("sft", trainees, training, std, length, workspace, "SFT stages")
    return trainees


def _datasets(
    env: MujocoConfiguration, requests: Sequence[TrainingRequest], workspace: Workspace, stride: int
) -> list[data.PreferenceData]:
    """The datasets of trainings; those on the same trajectories are loaded one after the other, and share them."""
    in_order = sorted(range(len(requests)), key=lambda at: env.trajectories_key(requests[at].dataset))
    loaded = {at: data.load_dataset(env, requests[at].dataset, workspace, stride) for at in in_order}
    return [loaded[at] for at in range(len(requests))]


def _write_sft(file: Path, env: MujocoConfiguration, trainee: Trainee) -> None:
    adam, weights = trainee.optimizer_state[1], trainee.weights
    reference = learner.all_logps(weights, trainee.dataset.trajectories, env.settings.task.action_std)
    tensors = {
        **{f"weights.{name}": np.asarray(value) for name, value in weights.items()},
        **{f"mu.{name}": np.asarray(value) for name, value in adam.mu.items()},
        **{f"nu.{name}": np.asarray(value) for name, value in adam.nu.items()},
        "count": np.asarray(adam.count),
        "reference": np.asarray(reference),
        **{f"curves.{name}": np.asarray(trainee.curves[name]) for name in _SFT_CURVES},
    }
    with file_atomically(file) as temporary:
        save_file(tensors, temporary)


def train(env: MujocoConfiguration, request: TrainingRequest, workspace: Workspace) -> Trained:
    """Trains a policy.

    Raises:
        DivergedError: When the loss or the weights leave the finite numbers.
    """
    ((trainee, seconds),) = _train(env, [request], workspace)
    if trainee.diverged:
        raise DivergedError(trainee.diverged)
    return _trained(env, trainee, seconds)


def train_group(
    env: MujocoConfiguration, requests: Sequence[TrainingRequest], workspace: Workspace
) -> list[Trained | None]:
    """Trains a group of policies in one program; None for those that diverge."""
    return [
        None if trainee.diverged else _trained(env, trainee, seconds)
        for trainee, seconds in _train(env, requests, workspace)
    ]


def _train(
    env: MujocoConfiguration, requests: Sequence[TrainingRequest], workspace: Workspace
) -> list[tuple[Trainee, dict[str, float]]]:
    """Trainees at the end of their training, and the share of the time that each took."""
    began = time.perf_counter()
    first = env.training_settings(requests[0])
    datasets = _datasets(env, requests, workspace, first.stride)
    loaded = time.perf_counter()
    trainees = [
        _begin(env, request, dataset, workspace) for request, dataset in zip(requests, datasets, strict=True)
    ]
    epochs = first.po_epochs if requests[0].objective.two_stage else first.epochs
    length = StageLength(epochs, env.pairs_per_update(requests[0]))
    run_stage("po", trainees, first, env.settings.task.action_std, length, workspace, "training")
    seconds = {"load": loaded - began, "train": time.perf_counter() - loaded}
    share = {name: value / len(requests) for name, value in seconds.items()}
    return [(trainee, share) for trainee in trainees]


def _begin(
    env: MujocoConfiguration, request: TrainingRequest, dataset: data.PreferenceData, workspace: Workspace
) -> Trainee:
    """A policy at the beginning of the stage that its objective trains."""
    training = env.training_settings(request)
    if not request.objective.two_stage:
        weights = initial_weights(env, training, request.seed)
        std = env.settings.task.action_std
        return Trainee(
            request.objective,
            dataset,
            request.seed,
            weights,
            learner.all_logps(weights, dataset.trajectories, std),
            training.learning_rate,
            _kept(weights),
        )
    sft = sft_stage(env, request, workspace)
    weights = _part(sft, "weights")
    curves = {name: sft[f"curves.{name}"].tolist() for name in _SFT_CURVES}
    curves |= {name: [math.nan] * training.sft_epochs for name in learner.RATIOS}
    return Trainee(
        request.objective,
        dataset,
        request.seed,
        weights,
        jnp.asarray(sft["reference"]),
        training.po_learning_rate,
        _kept(weights),
        _adam_state(sft, weights, training) if training.keep_optimizer_state else None,
        {"stage": ["sft"] * training.sft_epochs, **curves},
    )


def _trained(env: MujocoConfiguration, trainee: Trainee, seconds: dict[str, float]) -> Trained:
    original = data.agent_policy(env, "original")
    trained = policy.with_weights(original, trainee.weights)
    trained = policy.with_reference(trained, trainee.reference_weights)
    return Trained(trained, trainee.curves, seconds, trainee.dataset.facts)


def _kept(weights: policy.Weights) -> dict[str, np.ndarray]:
    """A copy of weights, whose memory a compiled program takes over."""
    return {name: np.array(value) for name, value in weights.items()}


def pair_logps(
    env: MujocoConfiguration, request: DatasetRequest, workspace: Workspace
) -> tuple[SequenceLogps, SequenceLogps]:
    """Log π(τ) of both sides of a dataset's pairs under the policy at the end of the SFT stage."""
    wanted = TrainingRequest(request, "", learner.Cloning(), request.seed)
    dataset = data.load_dataset(env, request, workspace, env.training_settings(wanted).stride)
    totals = sft_stage(env, wanted, workspace)["reference"]
    lengths = np.asarray(dataset.trajectories.lengths)
    return (
        SequenceLogps(totals[dataset.chosen], lengths[dataset.chosen]),
        SequenceLogps(totals[dataset.rejected], lengths[dataset.rejected]),
    )


def _part(tensors: dict[str, np.ndarray], prefix: str) -> policy.Weights:
    start = f"{prefix}."
    return {
        name.removeprefix(start): jnp.asarray(value)
        for name, value in tensors.items()
        if name.startswith(start)
    }


def _adam_state(tensors: dict[str, np.ndarray], weights: policy.Weights, training: TrainingSettings) -> Any:
    clip, adam = learner.clipped_adam(training.max_grad_norm).init(weights)
    kept = adam._replace(
        count=jnp.asarray(tensors["count"]), mu=_part(tensors, "mu"), nu=_part(tensors, "nu")
    )
    return clip, kept
