"""The Gaussian policy that every agent and every trained policy shares.

A 64×64 tanh network gives the mean action, squashed into (−1, 1). The standard deviation belongs to the environment: a
learner that may shrink its own noise raises its return without learning. A policy that learns it all the same
(``std=learned``) has one number for each action, whatever the state, and a floor.
Actions are clipped to [−1, 1] when executed, the likelihood is of the unclipped sample.

Arrays are laid out features first, ``(features, steps)``: the weight gradients, which contract over thousands of
steps, then read both operands along their rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file, save_file

HIDDEN = (64, 64)

CELL_WIDTH = 1 / math.e
"""π(a|s) is the probability of an action cell this wide in each dimension: a constant that cancels in every
margin, and keeps π below 1 so that odds exist."""

LEAST_STD = 0.05
"""Floor of a learned standard deviation. Without one, the density of a cloned action has no upper bound."""

Weights: TypeAlias = dict[str, jax.Array]
"""Trainable arrays: ``w1 (64, obs)``, ``b1 (64, 1)``, ``w2``, ``b2``, ``w3 (actions, 64)``, ``b3``, and ``log_std
(actions, 1)`` where the standard deviation is learned."""

Policy: TypeAlias = dict[str, np.ndarray]
"""Weights plus the frozen observation statistics ``obs_mean`` and ``obs_std``, each ``(obs,)``. A trained policy also
has the weights of its reference policy, as ``reference.w1`` and so on."""

STATISTICS = ("obs_mean", "obs_std")

REFERENCE = "reference."


def weights_of(policy: Policy) -> Weights:
    """The trainable arrays of a policy, on the device."""
    return {
        name: jnp.asarray(value)
        for name, value in policy.items()
        if name not in STATISTICS and not name.startswith(REFERENCE)
    }


def reference_of(policy: Policy) -> Weights | None:
    """The weights of the policy's reference policy, on the device; None for an agent, which has none."""
    own = {name: value for name, value in policy.items() if name.startswith(REFERENCE)}
    return {name.removeprefix(REFERENCE): jnp.asarray(value) for name, value in own.items()} or None


def with_reference(policy: Policy, weights: Mapping[str, np.ndarray]) -> Policy:
    """The policy with the weights of its reference policy."""
    return policy | {f"{REFERENCE}{name}": value for name, value in weights.items()}


def statistics_of(policy: Policy) -> Policy:
    """The frozen observation statistics of a policy."""
    return {name: policy[name] for name in STATISTICS}


def with_weights(policy: Policy, weights: Weights) -> Policy:
    """The policy with new weights; its observation statistics stay."""
    return statistics_of(policy) | {name: np.asarray(value) for name, value in weights.items()}


def random_weights(like: Policy, seed: int) -> Policy:
    """New weights in the shapes of another policy, whose observation statistics stay.

    LeCun et al. (1998), Efficient BackProp, §4.6: variance 1 / inputs; biases are zero.
    """
    rng = np.random.default_rng(seed)
    drawn = {
        name: rng.standard_normal(value.shape, np.float32) / np.sqrt(np.float32(value.shape[1]))
        if name.startswith("w")
        else value
        if name == "log_std"
        else np.zeros_like(value)
        for name, value in sorted(like.items())
        if name not in STATISTICS
    }
    return statistics_of(like) | drawn


def blended(original: Policy, target: Policy, share: float) -> Policy:
    """The policy that acts between two: the last layers' outputs, before tanh, are averaged.

    Args:
        original: Policy.
        target: Policy in the same observations and actions.
        share: Weight of the target's output; that of the original's is the rest of 1.

    Returns:
        A policy of both networks side by side, with the environment's standard deviation.
    """
    width = len(original["w1"])
    hidden = np.zeros((2 * width, 2 * width), np.float32)
    hidden[:width, :width], hidden[width:, width:] = original["w2"], target["w2"]
    first = [policy["w1"] / policy["obs_std"] for policy in (original, target)]
    shifts = [
        policy["b1"] - weights @ policy["obs_mean"][:, None]
        for policy, weights in zip((original, target), first, strict=True)
    ]
    return {
        "obs_mean": np.zeros_like(original["obs_mean"]),
        "obs_std": np.ones_like(original["obs_std"]),
        "w1": np.concatenate(first),
        "b1": np.concatenate(shifts),
        "w2": hidden,
        "b2": np.concatenate([original["b2"], target["b2"]]),
        "w3": np.concatenate([(1 - share) * original["w3"], share * target["w3"]], axis=1),
        "b3": (1 - share) * original["b3"] + share * target["b3"],
    }


def mean_action(weights: Weights, observations: jax.Array) -> jax.Array:
    """The mean action, in (−1, 1).

    Args:
        weights: Weights of the policy.
        observations: ``(obs, steps)``, normalised.

    Returns:
        ``(actions, steps)``.
    """
    hidden = jnp.tanh(weights["w1"] @ observations + weights["b1"])
    hidden = jnp.tanh(weights["w2"] @ hidden + weights["b2"])
    return jnp.tanh(weights["w3"] @ hidden + weights["b3"])


def action_std(weights: Weights | Policy, std: float) -> jax.Array:
    """The standard deviation of each action, ``(actions, 1)``: the policy's own, or else the environment's."""
    if "log_std" in weights:
        return jnp.maximum(jnp.exp(weights["log_std"]), LEAST_STD)
    return jnp.full_like(weights["b3"], std)


def step_logps(weights: Weights, observations: jax.Array, actions: jax.Array, std: float) -> jax.Array:
    """Log π(a|s) of single steps, in nats.

    Args:
        weights: Weights of the policy.
        observations: ``(obs, steps)``, normalised.
        actions: ``(actions, steps)``, as sampled (not clipped).
        std: The environment's action noise, for a policy without its own.

    Returns:
        ``(steps,)``.
    """
    stds = action_std(weights, std)
    distance = (actions - mean_action(weights, observations)) / stds
    constant = math.log(CELL_WIDTH) - 0.5 * math.log(2 * math.pi)
    return -0.5 * jnp.sum(jnp.square(distance), axis=0) + jnp.sum(constant - jnp.log(stds))


def step_divergences(weights: Weights, reference: Weights, observations: jax.Array, std: float) -> jax.Array:
    """KL(π(·|s) ‖ π_ref(·|s)) of two Gaussian policies in single states, in closed form, in nats.

    Args:
        weights: Weights of the policy.
        reference: Weights of the reference policy.
        observations: ``(obs, steps)``, normalised.
        std: The environment's action noise, for policies without their own.

    Returns:
        ``(steps,)``, at least 0.
    """
    ours, theirs = action_std(weights, std), action_std(reference, std)
    distance = mean_action(weights, observations) - mean_action(reference, observations)
    spread = jnp.log(theirs / ours) + 0.5 * (jnp.square(ours / theirs) - 1.0)
    return jnp.sum(0.5 * jnp.square(distance / theirs) + spread, axis=0)


def normalise(policy: Policy, observations: jax.Array) -> jax.Array:
    """Observations ``(…, obs, steps)`` in units of the policy's frozen statistics."""
    return (observations - policy["obs_mean"][:, None]) / policy["obs_std"][:, None]


def save(policy: Policy, file: Path) -> None:
    """Writes a policy as safetensors."""
    save_file({name: np.ascontiguousarray(value, np.float32) for name, value in policy.items()}, file)


def load(file: Path) -> Policy:
    """Reads what :func:`save` wrote."""
    policy: Policy = load_file(file)
    return policy
