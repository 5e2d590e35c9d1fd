"""Epoch after epoch of one policy, or of a group of policies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mpobench import Objective, Workspace
from mpobench.files.keys import content_key
from mpobench_mujoco import learner, policy, xla
from mpobench_mujoco.data import PreferenceData
from mpobench_mujoco.group_epoch import run_group_epoch
from mpobench_mujoco.settings import Schedule, TrainingSettings

Curves: TypeAlias = dict[str, list[Any]]
"""Values by quantity, an entry per epoch."""

Means: TypeAlias = dict[str, np.ndarray]
"""Means over an epoch by quantity, ``(trainees,)`` each."""


def no_curves() -> Curves:
    """Curves before the first epoch."""
    return {name: [] for name in ("stage", *learner.EpochCurves._fields)}


@dataclass
class Trainee:
    """A policy in training.

    Attributes:
        objective: Loss.
        dataset: Training data.
        seed: Seed of the minibatch order.
        weights: Weights of the policy; the compiled program takes their memory over.
        reference: ``(n,)`` log π_ref of every trajectory; zeros in an SFT stage, which has none.
        learning_rate: Learning rate of Adam.
        reference_weights: Weights of the reference policy: those at the beginning of the stage.
        optimizer_state: State of Adam; None to begin afresh.
        curves: Quantities of the past epochs.
        diverged: Description of how the training left the finite numbers; empty if it has not.
    """

    objective: Objective
    dataset: PreferenceData
    seed: int
    weights: policy.Weights
    reference: jax.Array
    learning_rate: float
    reference_weights: dict[str, np.ndarray] = field(default_factory=dict)
    optimizer_state: Any = None
    curves: Curves = field(default_factory=no_curves)
    diverged: str = ""

    @property
    def pairs(self) -> learner.Pairs:
        """Pairs on the device."""
        return learner.Pairs(
            jnp.asarray(self.dataset.chosen), jnp.asarray(self.dataset.rejected), self.reference
        )


@dataclass(frozen=True)
class StageLength:
    """The number of updates of a stage.

    Attributes:
        epochs: Number of epochs.
        pairs_per_update: Minibatch size.
    """

    epochs: int
    pairs_per_update: int


class _Trainer(Protocol):
    """A compiled program with the state of its trainees."""

    weights: policy.Weights
    """Weights; stacked for a group."""

    def epoch(self, orders: list[np.ndarray], progress: np.ndarray, rate_factors: np.ndarray) -> Means:
        """Runs one epoch; ``rate_factors``, ``(updates,)``, are those of the learning rate."""

    def finish(self) -> None:
        """Gives trainees their new weights and optimizer states."""


class _SingleTrainer:
    """One trainee in a program of its own: a third faster than as a group of one."""

    def __init__(self, trainee: Trainee, std: float, max_grad_norm: float) -> None:
        self._trainee, self._pairs = trainee, trainee.pairs
        self._program = learner.Program(trainee.objective.static, std, max_grad_norm)
        self._params = jax.tree.map(jnp.asarray, trainee.objective.params)
        self.weights = trainee.weights
        self._state = _optimizer_state(trainee, self._program)

    def epoch(self, orders: list[np.ndarray], progress: np.ndarray, rate_factors: np.ndarray) -> Means:
        trajectories = self._trainee.dataset.trajectories
        with xla.first_call(_program_name(type(self._trainee.objective).__name__, trajectories, orders)):
            self.weights, self._state, means = learner.run_epoch(
                self._program,
                self._params,
                self.weights,
                self._state,
                trajectories,
                self._pairs,
                jnp.asarray(orders[0]),
                jnp.asarray(progress),
                jnp.asarray(np.float32(self._trainee.learning_rate) * rate_factors),
            )
        return {name: np.atleast_1d(mean) for name, mean in means._asdict().items()}

    def finish(self) -> None:
        self._trainee.weights, self._trainee.optimizer_state = self.weights, self._state


class _GroupTrainer:
    """A group in one program. Trainees of one objective follow each other, see :func:`_by_objective`."""

    def __init__(self, trainees: Sequence[Trainee], std: float, max_grad_norm: float) -> None:
        self._trainees = trainees
        parts = [list(part) for _, part in itertools.groupby(trainees, lambda each: each.objective.static)]
        self._programs = tuple(
            (learner.Program(part[0].objective.static, std, max_grad_norm), len(part)) for part in parts
        )
        self._kind = f"group-{content_key([[repr(program), count] for program, count in self._programs])}"
        self._params = tuple(
            _stack([jax.tree.map(jnp.asarray, trainee.objective.params) for trainee in part])
            for part in parts
        )
        self.weights = _stack([trainee.weights for trainee in trainees])
        self._states = _stack([_optimizer_state(trainee, self._programs[0][0]) for trainee in trainees])
        self._trajectories, pairs = _joined(trainees)
        self._pairs = _stack(pairs)
        self._rates = np.asarray([trainee.learning_rate for trainee in trainees], np.float32)

    def epoch(self, orders: list[np.ndarray], progress: np.ndarray, rate_factors: np.ndarray) -> Means:
        trajectories = self._trajectories
        with xla.first_call(_program_name(self._kind, trajectories, orders)):
            self.weights, self._states, means = run_group_epoch(
                self._programs,
                self._params,
                self.weights,
                self._states,
                trajectories,
                self._pairs,
                jnp.asarray(np.stack(orders)),
                jnp.asarray(progress),
                jnp.asarray(rate_factors[:, None] * self._rates),
            )
        return {name: np.asarray(mean) for name, mean in means._asdict().items()}

    def finish(self) -> None:
        for index, trainee in enumerate(self._trainees):
            trainee.weights = {name: value[index] for name, value in self.weights.items()}
            trainee.optimizer_state = jax.tree.map(lambda value, index=index: value[index], self._states)


def _joined(trainees: Sequence[Trainee]) -> tuple[learner.Trajectories, list[learner.Pairs]]:
    """The trajectories of all trainees one after the other, each once, and the pairs as indices into them."""
    parts: dict[int, learner.Trajectories] = {}
    firsts: dict[int, int] = {}
    total = 0
    for trainee in trainees:
        trajectories = trainee.dataset.trajectories
        if id(trajectories) not in parts:
            parts[id(trajectories)], firsts[id(trajectories)] = trajectories, total
            total += trajectories.lengths.size
    joined = learner.Trajectories(*(jnp.concatenate(arrays) for arrays in zip(*parts.values(), strict=True)))
    pairs = []
    for trainee in trainees:
        first, own = firsts[id(trainee.dataset.trajectories)], trainee.pairs
        reference = jnp.zeros(total).at[first : first + own.reference.size].set(own.reference)
        pairs.append(learner.Pairs(own.chosen + first, own.rejected + first, reference))
    return joined, pairs


def _by_objective(trainees: Sequence[Trainee]) -> list[Trainee]:
    """The same trainees; those whose objectives share a compiled part follow each other."""
    parts: dict[Objective, list[Trainee]] = {}
    for trainee in trainees:
        parts.setdefault(trainee.objective.static, []).append(trainee)
    return [trainee for part in parts.values() for trainee in part]


def _optimizer_state(trainee: Trainee, program: learner.Program) -> Any:
    kept = trainee.optimizer_state
    return program.optimizer.init(trainee.weights) if kept is None else kept


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _program_name(kind: str, trajectories: learner.Trajectories, orders: list[np.ndarray]) -> str:
    shape = "x".join(map(str, trajectories.observations.shape))
    return f"{kind}-{shape}-{orders[0].shape[1]}"


def run_stage(
    stage: str,
    trainees: Sequence[Trainee],
    training: TrainingSettings,
    std: float,
    length: StageLength,
    workspace: Workspace,
    phase: str,
) -> None:
    """Runs the epochs of a stage; trainees then hold their new weights, optimizer states and curves.

    Args:
        stage: Name in the curves: ``sft`` or ``po``.
        trainees: One trainee, or a group with equally many pairs.
        training: Settings, of which the clip and the schedule are read.
        std: The environment's action noise.
        length: Number of epochs, and minibatch size.
        workspace: Workspace, for progress reports.
        phase: Phase of the progress reports.
    """
    trainees = _by_objective(trainees)
    trainer: _Trainer = (
        _SingleTrainer(trainees[0], std, training.max_grad_norm)
        if len(trainees) == 1
        else _GroupTrainer(trainees, std, training.max_grad_norm)
    )
    pairs = len(trainees[0].dataset.chosen)
    epochs, updates = length.epochs, pairs // length.pairs_per_update
    progress = np.linspace(0.0, 1.0, epochs * updates, dtype=np.float32).reshape(epochs, updates)
    rate_factors = _rate_factors(training.schedule, epochs * updates).reshape(epochs, updates)
    past_epochs = [len(trainee.curves["stage"]) for trainee in trainees]
    for epoch in range(epochs):
        orders = [
            learner.epoch_order(trainee.seed, past + epoch, pairs, length.pairs_per_update)
            for trainee, past in zip(trainees, past_epochs, strict=True)
        ]
        means = trainer.epoch(orders, progress[epoch], rate_factors[epoch])
        finite = _finite(means["loss"], trainer.weights)
        for index, trainee in enumerate(trainees):
            if not trainee.diverged:
                _record(trainee, stage, epoch, means, index, bool(finite[index]))
        workspace.report(phase, (epoch + 1) / epochs)
        if all(trainee.diverged for trainee in trainees):
            break
    trainer.finish()


def _rate_factors(schedule: Schedule, updates: int) -> np.ndarray:
    """Factors of the learning rate, ``(updates,)``."""
    past = np.arange(updates) / updates
    factors: np.ndarray = {"constant": np.ones(updates), "linear": 1 - past}[schedule].astype(np.float32)
    return factors


def _finite(losses: np.ndarray, weights: policy.Weights) -> np.ndarray:
    """``(trainees,)``: whether loss and weights of each are finite."""
    count = len(losses)
    finite: np.ndarray = np.isfinite(losses)
    for value in weights.values():
        finite &= np.isfinite(np.asarray(value)).reshape(count, -1).all(axis=1)
    return finite


def _record(trainee: Trainee, stage: str, epoch: int, means: Means, index: int, finite: bool) -> None:
    trainee.curves["stage"].append(stage)
    for quantity, values in means.items():
        unknown = stage == "sft" and quantity in learner.RATIOS
        trainee.curves[quantity].append(math.nan if unknown else float(values[index]))
    if not finite:
        trainee.diverged = f"loss or weights are not finite after epoch {epoch + 1} of the {stage} stage"
