"""An epoch of a group of policies in one compiled program, for devices that would idle with one 64×64 network.

Forward and backward passes of all policies are one; then each objective computes the losses of its own policies. Seeds,
labels, numbers of an objective and objectives may differ; the trajectories of all are in one array.
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
def run_group_epoch(
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
    """One epoch of a group: :func:`mpobench_mujoco.learner.run_epoch` with policies in the first axis.

    Args:
        programs: (compiled part of an objective, number of policies that follow it), for consecutive policies. All
            programs share action noise and clip.
        params: Numbers and weights of each objective, stacked over its policies.
        weights: Weights of the policies, stacked.
        optimizer_states: States of Adam, stacked.
        trajectories: Trajectories of all policies.
        pairs: Pairs of each policy, stacked.
        orders: ``(policies, updates, pairs per update)`` indices of pairs.
        progress: ``(updates,)``, share of training done at each update.
        learning_rates: ``(updates, policies)``.

    Returns:
        New weights, new optimizer states, means over the epoch, ``(policies,)`` each.
    """
    std = programs[0][0].std
    descend = programs[0][0].descend

    def losses(weights: Weights, rows: jax.Array, progress: jax.Array) -> tuple[jax.Array, EpochCurves]:
        sides = (jnp.take_along_axis(side, rows, 1) for side in (pairs.chosen, pairs.rejected))
        members = jnp.concatenate(list(sides), axis=1)
        totals = jax.vmap(lambda weights, members: total_logps(weights, trajectories, members, std))(
            weights, members
        )
        lengths = trajectories.lengths[members].astype(totals.dtype)
        references = jnp.take_along_axis(pairs.reference, members, 1)
        curves_by_objective, first = [], 0
        for (program, count), stacked_params in zip(programs, params, strict=True):

            def loss(
                params: dict[str, Any],
                total: jax.Array,
                length: jax.Array,
                reference: jax.Array,
                program: Program = program,
            ) -> EpochCurves:
                objective = program.objective.model_copy(update=params)
                return mean_loss(objective, SequenceLogps(total, length), reference, progress)[1]

            part = slice(first, first + count)
            curves_by_objective.append(
                jax.vmap(loss, axis_size=count)(stacked_params, totals[part], lengths[part], references[part])
            )
            first += count
        curves = jax.tree.map(lambda *parts: jnp.concatenate(parts), *curves_by_objective)
        # No policy's loss depends on another's weights: the gradient of the sum holds the gradient of each.
        return jnp.sum(curves.loss), curves

    def update(
        carry: tuple[Weights, Any], step: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[tuple[Weights, Any], EpochCurves]:
        weights, optimizer_states = carry
        rows, progress, learning_rates = step
        gradients, curves = jax.grad(losses, has_aux=True)(weights, rows, progress)
        return jax.vmap(descend)(weights, optimizer_states, gradients, learning_rates), curves

    carry, steps = (weights, optimizer_states), (orders.swapaxes(0, 1), progress, learning_rates)
    (weights, optimizer_states), curves = jax.lax.scan(update, carry, steps)
    return weights, optimizer_states, EpochCurves(*(jnp.mean(curve, axis=0) for curve in curves))
