"""The inner loop: one compiled program per epoch of preference optimization.

An update reads two pairs, that is four trajectories of a thousand steps, through a 64×64 network: small matrix
products, so layout decides (see :mod:`mpobench_mujoco.policy`). Numeric hyperparameters enter as
arguments of the program: changing them compiles nothing.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mpobench import Objective, PreferenceBatch, SequenceLogps
from mpobench_mujoco.policy import Weights, step_logps


class Trajectories(NamedTuple):
    """All trajectories of a dataset, on the device.

    Attributes:
        observations: ``(n, obs, steps)``, normalised.
        actions: ``(n, actions, steps)``.
        lengths: ``(n,)``, in steps.
    """

    observations: jax.Array
    actions: jax.Array
    lengths: jax.Array


class Pairs(NamedTuple):
    """The labelled pairs: indices into the trajectories, and reference log-probabilities.

    Attributes:
        chosen: ``(pairs,)``, index of the chosen trajectory.
        rejected: ``(pairs,)``, index of the rejected trajectory.
        reference: ``(n,)``, log π_ref(τ) of every trajectory, nats; zeros in an SFT stage, which has none.
    """

    chosen: jax.Array
    rejected: jax.Array
    reference: jax.Array


class EpochCurves(NamedTuple):
    """Means over one epoch, in the units of the quantities, each pair as it was when the policy trained on it.

    Attributes:
        loss: Loss.
        margin: Difference of the two sides' log π(τ), in nats per step.
        accuracy: Share of pairs whose chosen side is more probable.
        logp_chosen: log π(τ) of the chosen side, in nats per step.
        logp_rejected: The same of the rejected side.
        log_ratio_chosen: log π(τ)/π_ref(τ) of the chosen side, in nats per step.
        log_ratio_rejected: The same of the rejected side.
        chosen_fell: Share of pairs whose chosen side is less probable than under the reference policy.
    """

    loss: jax.Array
    margin: jax.Array
    accuracy: jax.Array
    logp_chosen: jax.Array
    logp_rejected: jax.Array
    log_ratio_chosen: jax.Array
    log_ratio_rejected: jax.Array
    chosen_fell: jax.Array


RATIOS = ("log_ratio_chosen", "log_ratio_rejected", "chosen_fell")
"""Curves relative to the reference policy. An SFT stage makes that policy, and has none."""


class Cloning(Objective):
    """The SFT stage: −log π(τ_w), per step."""

    def loss(self, batch: PreferenceBatch) -> jax.Array:
        """Returns ``(pairs,)``, in nats per step."""
        loss: jax.Array = -batch.chosen.mean
        return loss


def clipped_adam(max_grad_norm: float) -> optax.GradientTransformation:
    """Adam behind a global-norm clip; the learning rate is applied by the program."""
    return optax.chain(optax.clip_by_global_norm(max_grad_norm), optax.scale_by_adam())


@dataclass(frozen=True)
class Program:
    """The constants of a compiled program: an objective's static part, and the shape of an update.

    Attributes:
        objective: Static part of the objective; its params are arguments of the program.
        std: The environment's action noise.
        max_grad_norm: Gradient clip, see :class:`~mpobench_mujoco.settings.TrainingSettings`.
    """

    objective: Objective
    std: float
    max_grad_norm: float

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """The optimizer of the policy's weights."""
        return clipped_adam(self.max_grad_norm)

    def descend(
        self, weights: Weights, optimizer_state: Any, gradient: Weights, learning_rate: jax.Array
    ) -> tuple[Weights, Any]:
        """One step of the optimizer: new weights and its new state."""
        direction, optimizer_state = self.optimizer.update(gradient, optimizer_state)
        return jax.tree.map(lambda w, d: w - learning_rate * d, weights, direction), optimizer_state


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def total_logps(weights: Weights, trajectories: Trajectories, members: jax.Array, std: float) -> jax.Array:
    """Log π(τ) of some trajectories, ``(k,)`` nats.

    Differentiated one trajectory at a time: a loss needs the gradient of each total, which is weighted later. So a
    trajectory's forward and backward pass follow each other while its activations (1.5 MB for a thousand steps)
    are still in a core's second-level cache.

    Args:
        weights: Weights of the policy.
        trajectories: All trajectories of a dataset.
        members: ``(k,)``, indices of the trajectories to read; they are read where they lie, not gathered first.
        std: The environment's action noise.
    """
    totals: jax.Array = jax.lax.map(lambda member: _total_logp(weights, trajectories, member, std), members)
    return totals


def _total_logp(weights: Weights, trajectories: Trajectories, member: jax.Array, std: float) -> jax.Array:
    observations, actions, length = (part[member] for part in trajectories)
    alive = jnp.arange(observations.shape[1]) < length
    return jnp.sum(step_logps(weights, observations, actions, std) * alive)


def _totals_and_gradients(
    weights: Weights, trajectories: Trajectories, members: jax.Array, std: float
) -> tuple[jax.Array, Weights]:
    one = jax.value_and_grad(_total_logp)
    totals_and_gradients: tuple[jax.Array, Weights] = jax.lax.map(
        lambda member: one(weights, trajectories, member, std), members
    )
    return totals_and_gradients


def _weighted(std: float, gradients: Weights, cotangent: jax.Array) -> tuple[Weights, None, None]:
    return jax.tree.map(lambda gradient: jnp.tensordot(cotangent, gradient, 1), gradients), None, None


total_logps.defvjp(_totals_and_gradients, _weighted)


def trajectory_logps(
    weights: Weights, trajectories: Trajectories, members: jax.Array, std: float
) -> SequenceLogps:
    """Log π(τ) of some trajectories, ``(k,)`` totals and lengths; arguments as :func:`total_logps`."""
    totals = total_logps(weights, trajectories, members, std)
    return SequenceLogps(totals, trajectories.lengths[members].astype(totals.dtype))


def mean_loss(
    objective: Objective, logps: SequenceLogps, reference: jax.Array, progress: jax.Array
) -> tuple[jax.Array, EpochCurves]:
    """The mean loss of a minibatch, and the quantities to watch.

    Args:
        objective: Objective with its params in place.
        logps: ``(2 pairs,)`` each, of the chosen trajectories, then of the rejected ones.
        reference: ``(2 pairs,)``, log π_ref of the same trajectories.
        progress: Share of training done.

    Raises:
        ValueError: If the objective's losses have another shape than ``(pairs,)``.
    """
    pairs = logps.total.shape[0] // 2

    def side(part: slice, total: jax.Array) -> SequenceLogps:
        return SequenceLogps(total[part], logps.length[part])

    chosen, rejected = slice(0, pairs), slice(pairs, None)
    batch = PreferenceBatch(
        side(chosen, logps.total),
        side(rejected, logps.total),
        side(chosen, reference) if objective.needs_reference else None,
        side(rejected, reference) if objective.needs_reference else None,
        progress,
    )
    losses = objective.loss(batch)
    if getattr(losses, "shape", None) != (pairs,):
        raise ValueError(
            f"{type(objective).__name__}.loss returned shape {getattr(losses, 'shape', None)}, "
            f"where one loss per pair, ({pairs},), is needed"
        )
    margin = batch.chosen.mean - batch.rejected.mean
    ratios = (logps.total - reference) / logps.length
    curves = EpochCurves(
        jnp.mean(losses),
        jnp.mean(margin),
        jnp.mean(margin > 0),
        jnp.mean(batch.chosen.mean),
        jnp.mean(batch.rejected.mean),
        jnp.mean(ratios[chosen]),
        jnp.mean(ratios[rejected]),
        jnp.mean(ratios[chosen] < 0),
    )
    return curves.loss, curves


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(2, 3))
def run_epoch(
    program: Program,
    params: dict[str, Any],
    weights: Weights,
    optimizer_state: Any,
    trajectories: Trajectories,
    pairs: Pairs,
    order: jax.Array,
    progress: jax.Array,
    learning_rates: jax.Array,
) -> tuple[Weights, Any, EpochCurves]:
    """One epoch: a scan over minibatches.

    Args:
        program: Constants of the compiled program.
        params: Numbers and weights of the objective.
        weights: Weights of the policy.
        optimizer_state: State of Adam.
        trajectories: Trajectories of the dataset.
        pairs: Pairs of the dataset.
        order: ``(updates, pairs per update)``, indices of pairs.
        progress: ``(updates,)``, share of training done at each update.
        learning_rates: ``(updates,)``.

    Returns:
        New weights, new optimizer state, means over the epoch.
    """
    objective = program.objective.model_copy(update=params)

    def loss(weights: Weights, rows: jax.Array, progress: jax.Array) -> tuple[jax.Array, EpochCurves]:
        members = jnp.concatenate([pairs.chosen[rows], pairs.rejected[rows]])
        logps = trajectory_logps(weights, trajectories, members, program.std)
        return mean_loss(objective, logps, pairs.reference[members], progress)

    def update(
        carry: tuple[Weights, Any], step: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[tuple[Weights, Any], EpochCurves]:
        weights, optimizer_state = carry
        rows, progress, learning_rate = step
        gradient, curves = jax.grad(loss, has_aux=True)(weights, rows, progress)
        return program.descend(weights, optimizer_state, gradient, learning_rate), curves

    steps = order, progress, learning_rates
    (weights, optimizer_state), curves = jax.lax.scan(update, (weights, optimizer_state), steps)
    return weights, optimizer_state, EpochCurves(*(jnp.mean(curve) for curve in curves))


@functools.partial(jax.jit, static_argnums=2)
def all_logps(weights: Weights, trajectories: Trajectories, std: float) -> jax.Array:
    """Log π(τ) of every trajectory of a dataset, ``(n,)`` nats."""
    logps: jax.Array = total_logps(weights, trajectories, jnp.arange(trajectories.lengths.size), std)
    return logps


def epoch_order(seed: int, epoch: int, pairs: int, pairs_per_update: int) -> np.ndarray:
    """A permutation of the pairs, cut into minibatches; a last, smaller one is dropped.

    Epochs are counted through both stages: an SFT stage of 10 epochs has the order of the first 10 of ``sft``'s 12.

    Returns:
        ``(updates, pairs per update)`` int32.
    """
    updates = pairs // pairs_per_update
    order = np.random.default_rng([seed, epoch]).permutation(pairs)[: updates * pairs_per_update]
    return order.reshape(updates, pairs_per_update).astype(np.int32)
