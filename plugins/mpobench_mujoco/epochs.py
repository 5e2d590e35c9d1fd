"""Epoch after epoch of one policy, or of several at once on the same trajectories."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from mpobench import Objective, Workspace
from mpobench.files.keys import content_key
from mpobench_mujoco import learner, policy, together, xla
from mpobench_mujoco.data import PreferenceData

if TYPE_CHECKING:
    from mpobench_mujoco.settings import TrainingSettings

Curves: TypeAlias = dict[str, list[Any]]
"""What has been seen so far, by quantity, an entry an epoch."""

Means: TypeAlias = dict[str, np.ndarray]
"""What was seen in an epoch, by quantity, ``(trainees,)`` each."""


def no_curves() -> Curves:
    """Before the first epoch."""
    return {name: [] for name in ("stage", *learner.EpochCurves._fields)}


@dataclass
class Trainee:
    """A policy in training.

    Attributes:
        objective: it follows.
        dataset: it learns from.
        seed: of the minibatch order.
        weights: its own; they are given up to the program.
        reference: ``(n,)`` log π_ref of every trajectory; zeros where no reference is needed.
        learning_rate: of Adam.
        optimizer_state: Adam's; None to begin afresh.
        curves: what has been seen so far.
        diverged: how it left the finite numbers; empty if it has not.
    """

    objective: Objective
    dataset: PreferenceData
    seed: int
    weights: policy.Weights
    reference: jax.Array
    learning_rate: float
    optimizer_state: Any = None
    curves: Curves = field(default_factory=no_curves)
    diverged: str = ""

    @property
    def pairs(self) -> learner.Pairs:
        """On the device."""
        return learner.Pairs(
            jnp.asarray(self.dataset.chosen), jnp.asarray(self.dataset.rejected), self.reference
        )


class _Program(Protocol):
    """What runs an epoch of all trainees."""

    weights: policy.Weights
    """Stacked where there are several."""

    def epoch(self, orders: list[np.ndarray], progress: np.ndarray) -> Means:
        """Runs one."""

    def finish(self) -> None:
        """Gives trainees their new weights and optimizer states."""


class _Alone:
    def __init__(self, trainee: Trainee, std: float, max_grad_norm: float) -> None:
        self._trainee, self._pairs = trainee, trainee.pairs
        self._program = learner.Program(trainee.objective.static, std, max_grad_norm)
        self._params = jax.tree.map(jnp.asarray, trainee.objective.params)
        self.weights = trainee.weights
        self._state = _state(trainee, self._program)

    def epoch(self, orders: list[np.ndarray], progress: np.ndarray) -> Means:
        trajectories = self._trainee.dataset.trajectories
        with xla.first_call(_name(type(self._trainee.objective).__name__, trajectories, orders)):
            self.weights, self._state, means = learner.run_epoch(
                self._program,
                self._params,
                self.weights,
                self._state,
                trajectories,
                self._pairs,
                jnp.asarray(orders[0]),
                jnp.asarray(progress),
                jnp.asarray(self._trainee.learning_rate, jnp.float32),
            )
        return {name: np.atleast_1d(mean) for name, mean in means._asdict().items()}

    def finish(self) -> None:
        self._trainee.weights, self._trainee.optimizer_state = self.weights, self._state


class _Together:
    """Of trainees with one static part after another, see :func:`_by_static`."""

    def __init__(self, trainees: Sequence[Trainee], std: float, max_grad_norm: float) -> None:
        self._trainees = trainees
        groups = [list(group) for _, group in itertools.groupby(trainees, lambda each: each.objective.static)]
        self._programs = tuple(
            (learner.Program(group[0].objective.static, std, max_grad_norm), len(group)) for group in groups
        )
        self._kind = f"together-{content_key([[repr(program), count] for program, count in self._programs])}"
        self._params = tuple(
            _stack([jax.tree.map(jnp.asarray, each.objective.params) for each in group]) for group in groups
        )
        self.weights = _stack([each.weights for each in trainees])
        self._states = _stack([_state(each, self._programs[0][0]) for each in trainees])
        self._pairs = _stack([each.pairs for each in trainees])
        self._rates = jnp.asarray([each.learning_rate for each in trainees], jnp.float32)

    def epoch(self, orders: list[np.ndarray], progress: np.ndarray) -> Means:
        trajectories = self._trainees[0].dataset.trajectories
        with xla.first_call(_name(self._kind, trajectories, orders)):
            self.weights, self._states, means = together.run_epoch(
                self._programs,
                self._params,
                self.weights,
                self._states,
                trajectories,
                self._pairs,
                jnp.asarray(np.stack(orders)),
                jnp.asarray(progress),
                self._rates,
            )
        return {name: np.asarray(mean) for name, mean in means._asdict().items()}

    def finish(self) -> None:
        for index, trainee in enumerate(self._trainees):
            trainee.weights = {name: value[index] for name, value in self.weights.items()}
            trainee.optimizer_state = jax.tree.map(lambda value, index=index: value[index], self._states)


def _by_static(trainees: Sequence[Trainee]) -> list[Trainee]:
    """Those whose objectives share a program follow each other."""
    groups: dict[Objective, list[Trainee]] = {}
    for trainee in trainees:
        groups.setdefault(trainee.objective.static, []).append(trainee)
    return [trainee for group in groups.values() for trainee in group]


def _state(trainee: Trainee, program: learner.Program) -> Any:
    kept = trainee.optimizer_state
    return program.optimizer.init(trainee.weights) if kept is None else kept


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _name(kind: str, trajectories: learner.Trajectories, orders: list[np.ndarray]) -> str:
    shape = "x".join(map(str, trajectories.observations.shape))
    return f"{kind}-{shape}-{orders[0].shape[1]}"


def run_stage(
    stage: str,
    trainees: Sequence[Trainee],
    training: TrainingSettings,
    std: float,
    epochs: int,
    workspace: Workspace,
    phase: str,
) -> None:
    """Runs some epochs; trainees have what came of them.

    Args:
        stage: for the curves: ``sft`` or ``po``.
        trainees: one; or several, all on the same trajectories.
        training: pairs an update, and the clip.
        std: the environment's action noise.
        epochs: how many.
        workspace: for progress.
        phase: under which that is reported.
    """
    trainees = _by_static(trainees)
    program: _Program = (
        _Alone(trainees[0], std, training.max_grad_norm)
        if len(trainees) == 1
        else _Together(trainees, std, training.max_grad_norm)
    )
    pairs = len(trainees[0].dataset.chosen)
    updates = pairs // training.pairs_per_update
    progress = np.linspace(0.0, 1.0, epochs * updates, dtype=np.float32).reshape(epochs, updates)
    begun = [len(each.curves["stage"]) for each in trainees]
    for epoch in range(epochs):
        orders = [
            learner.epoch_order(each.seed, done + epoch, pairs, training.pairs_per_update)
            for each, done in zip(trainees, begun, strict=True)
        ]
        means = program.epoch(orders, progress[epoch])
        finite = _finite(means["loss"], program.weights)
        for index, trainee in enumerate(trainees):
            if not trainee.diverged:
                _record(trainee, stage, epoch, means, index, bool(finite[index]))
        workspace.report(phase, (epoch + 1) / epochs)
        if all(trainee.diverged for trainee in trainees):
            break
    program.finish()


def _finite(losses: np.ndarray, weights: policy.Weights) -> np.ndarray:
    """Whose loss and weights are finite, ``(trainees,)``."""
    count = len(losses)
    found: np.ndarray = np.isfinite(losses)
    for value in weights.values():
        found &= np.isfinite(np.asarray(value)).reshape(count, -1).all(axis=1)
    return found


def _record(trainee: Trainee, stage: str, epoch: int, means: Means, index: int, finite: bool) -> None:
    trainee.curves["stage"].append(stage)
    for quantity, values in means.items():
        trainee.curves[quantity].append(float(values[index]))
    if not finite:
        trainee.diverged = f"loss or weights are not finite after epoch {epoch + 1} of the {stage} stage"
