"""An epoch of many policies in one compiled program, for devices that would idle with one 64×64 network.

Their forward and backward passes are one; then each objective computes the losses of its own policies. Seeds, labels,
numbers of an objective and objectives may differ; the trajectories are the same.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from mpobench import SequenceLogps
from mpobench_mujoco.learner import EpochCurves, Pairs, Program, Trajectories, mean_loss, total_logps
from mpobench_mujoco.policy import Weights


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(2, 3))
def run_epoch(
    programs: tuple[tuple[Program, int], ...],
    params: tuple[dict[str, Any], ...],
    weights: Weights,
    optimizer_states: Any,
    trajectories: Trajectories,
    pairs: Pairs,
    orders: jax.Array,
    progress: jax.Array,
    learning_rates: jax.Array,
) -> tuple[Weights, Any, EpochCurves]:
    """One epoch: what :func:`mpobench_mujoco.learner.run_epoch` does, with policies in the first axis.

    Args:
        programs: the compiled part of each objective, and how many of the policies follow it, one group after
            another. They share the noise and the clip.
        params: of each objective: its numbers and weights, those of its policies stacked.
        weights: stacked.
        optimizer_states: stacked.
        trajectories: which all share.
        pairs: stacked.
        orders: ``(policies, updates, pairs per update)``.
        progress: ``(updates,)``.
        learning_rates: ``(policies,)``.

    Returns:
        New weights, new optimizer states, means over the epoch, ``(policies,)`` each.
    """
    program = programs[0][0]

    def losses(weights: Weights, rows: jax.Array, progress: jax.Array) -> tuple[jax.Array, EpochCurves]:
        sides = (jnp.take_along_axis(side, rows, 1) for side in (pairs.chosen, pairs.rejected))
        members = jnp.concatenate(list(sides), axis=1)
        totals = jax.vmap(lambda one, which: total_logps(one, trajectories, which, program.std))(
            weights, members
        )
        lengths = trajectories.lengths[members].astype(totals.dtype)
        references = jnp.take_along_axis(pairs.reference, members, 1)
        found, first = [], 0
        for (each, count), own in zip(programs, params, strict=True):

            def loss(
                numbers: dict[str, Any],
                total: jax.Array,
                length: jax.Array,
                reference: jax.Array,
                program: Program = each,
            ) -> EpochCurves:
                objective = program.objective.model_copy(update=numbers)
                return mean_loss(objective, SequenceLogps(total, length), reference, progress)[1]

            part = slice(first, first + count)
            found.append(jax.vmap(loss, axis_size=count)(own, totals[part], lengths[part], references[part]))
            first += count
        curves = jax.tree.map(lambda *parts: jnp.concatenate(parts), *found)
        # No policy's loss depends on another's weights: the gradient of the sum is the gradient of each.
        return jnp.sum(curves.loss), curves

    def update(
        carry: tuple[Weights, Any], this: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[Weights, Any], EpochCurves]:
        weights, optimizer_states = carry
        gradients, curves = jax.grad(losses, has_aux=True)(weights, *this)
        return jax.vmap(program.descend)(weights, optimizer_states, gradients, learning_rates), curves

    carry = weights, optimizer_states
    (weights, optimizer_states), curves = jax.lax.scan(update, carry, (orders.swapaxes(0, 1), progress))
    return weights, optimizer_states, EpochCurves(*(jnp.mean(curve, axis=0) for curve in curves))
