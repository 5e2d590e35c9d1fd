"""Training the agents that generate the data, with brax's PPO (Schulman et al., 2017).

The policy is the benchmark's own (:mod:`mpobench_mujoco.policy`). A learned standard deviation shrinks until densities
exceed 1 and gaits break at the smallest change, so it is fixed but for agents that are to have their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from brax.envs.base import PipelineEnv, State, Wrapper
from brax.envs.wrappers.training import AutoResetWrapper, EpisodeWrapper
from brax.training import networks
from brax.training.acme.running_statistics import RunningStatisticsState
from brax.training.agents.ppo import networks as ppo_networks
from brax.training.agents.ppo import train as brax_ppo
from brax.training.distribution import NormalDistribution, ParametricDistribution
from brax.training.types import UInt64

from mpobench_mujoco import physics
from mpobench_mujoco.policy import HIDDEN, LEAST_STD, Policy
from mpobench_mujoco.settings import Recipe


class _Clip:
    """Executes actions within [−1, 1]; the likelihood stays that of the sample."""

    def forward(self, x: jax.Array) -> jax.Array:
        return jnp.clip(x, -1.0, 1.0)

    def inverse(self, y: jax.Array) -> jax.Array:
        return y

    def forward_log_det_jacobian(self, x: jax.Array) -> jax.Array:
        return jnp.zeros_like(x)


class FixedStd(ParametricDistribution):
    """A Gaussian whose mean is tanh of the network's output and whose standard deviation is a constant."""

    def __init__(self, actions: int, std: float) -> None:
        super().__init__(param_size=actions, postprocessor=_Clip(), event_ndims=1, reparametrizable=True)
        self._std = std
        self._normal = NormalDistribution(actions)

    def create_dist(self, parameters: jax.Array) -> Any:
        """The distribution of the unclipped action."""
        return self._normal.create_dist((jnp.tanh(parameters), self._std))


class LearnedStd(ParametricDistribution):
    """The same with a standard deviation for each action, whose logarithm is the second half of the parameters."""

    def __init__(self, actions: int) -> None:
        super().__init__(param_size=2 * actions, postprocessor=_Clip(), event_ndims=1, reparametrizable=True)
        self._normal = NormalDistribution(actions)

    def create_dist(self, parameters: jax.Array) -> Any:
        """The distribution of the unclipped action."""
        mean, log_std = jnp.split(parameters, 2, axis=-1)
        return self._normal.create_dist((jnp.tanh(mean), jnp.maximum(jnp.exp(log_std), LEAST_STD)))


def _networks(
    std: float,
    learned: bool,
    observation_size: int,
    action_size: int,
    preprocess_observations_fn: Any,
) -> ppo_networks.PPONetworks:
    mean = networks.make_policy_network(
        action_size,
        observation_size,
        preprocess_observations_fn=preprocess_observations_fn,
        hidden_layer_sizes=HIDDEN,
        activation=jnp.tanh,
    )
    return ppo_networks.PPONetworks(
        policy_network=_with_std(mean, action_size, std) if learned else mean,
        value_network=networks.make_value_network(
            observation_size,
            preprocess_observations_fn=preprocess_observations_fn,
            hidden_layer_sizes=(128, 128),
            activation=jnp.tanh,
        ),
        parametric_action_distribution=LearnedStd(action_size) if learned else FixedStd(action_size, std),
    )


def _with_std(mean: networks.FeedForwardNetwork, action_size: int, std: float) -> networks.FeedForwardNetwork:
    """A network of means with a number for each action beside it, whatever the state."""

    def init(key: jax.Array) -> dict[str, Any]:
        return {**mean.init(key), "log_std": jnp.full(action_size, jnp.log(std))}

    def apply(statistics: Any, params: dict[str, Any], observations: jax.Array) -> jax.Array:
        means = mean.apply(statistics, {"params": params["params"]}, observations)
        return jnp.concatenate([means, jnp.broadcast_to(params["log_std"], means.shape)], axis=-1)

    return networks.FeedForwardNetwork(init=init, apply=apply)


class _Batch(Wrapper):
    """Many environments, the batch first where brax sees it, and where it is fast where they are simulated."""

    def reset(self, rng: jax.Array) -> State:
        """Start states of the keys ``(batch, 2)``."""
        return jax.vmap(self.env.reset)(rng)

    def step(self, state: State, action: jax.Array) -> State:
        """One control step, of states whose arrays are ``(batch, ...)`` and actions ``(batch, actions)``."""
        axis = physics.batch_axis(self.env)
        inner = jax.tree.map(lambda array: jnp.moveaxis(array, 0, axis), (state, action))
        following = physics.step_all(self.env)(*inner)
        return jax.tree.map(lambda array: jnp.moveaxis(array, axis, 0), following)


def _batch(env: PipelineEnv, episode_length: int, action_repeat: int, randomization_fn: None) -> Wrapper:
    """Brax's ``training.wrap`` with our batch."""
    return AutoResetWrapper(EpisodeWrapper(_Batch(env), episode_length, action_repeat))


Params: TypeAlias = tuple[RunningStatisticsState, Any, Any]
"""Brax's (observation statistics, policy network, value network)."""


def to_policy(params: Params) -> Policy:
    """Brax's (statistics, policy, value) as one of our policies: features first."""
    statistics, network, _ = params
    policy = {"obs_mean": np.asarray(statistics.mean), "obs_std": np.asarray(statistics.std)}
    for layer in range(len(HIDDEN) + 1):
        dense = network["params"][f"hidden_{layer}"]
        policy[f"w{layer + 1}"] = np.asarray(dense["kernel"]).T
        policy[f"b{layer + 1}"] = np.asarray(dense["bias"])[:, None]
    if "log_std" in network:
        policy["log_std"] = np.asarray(network["log_std"])[:, None]
    return policy


STEPS_BEHIND_STATISTICS = 10_000_000
"""Weight of a policy's observation statistics, in environment steps, when a training begins with it."""


def from_policy(policy: Policy, std: float) -> Params:
    """Parameters that begin with one of our policies; the value network begins with random weights.

    Args:
        policy: Policy with a fixed standard deviation.
        std: Standard deviation from which it is learned.
    """
    count = UInt64(hi=jnp.zeros((), jnp.uint32), lo=jnp.asarray(STEPS_BEHIND_STATISTICS, jnp.uint32))
    mean, spread = jnp.asarray(policy["obs_mean"]), jnp.asarray(policy["obs_std"])
    statistics = RunningStatisticsState(
        count=count, mean=mean, std=spread, summed_variance=spread**2 * STEPS_BEHIND_STATISTICS
    )
    layers = {
        f"hidden_{layer}": {
            "kernel": jnp.asarray(policy[f"w{layer + 1}"]).T,
            "bias": jnp.asarray(policy[f"b{layer + 1}"])[:, 0],
        }
        for layer in range(len(HIDDEN) + 1)
    }
    network = {"params": layers, "log_std": jnp.full(policy["b3"].shape[0], jnp.log(std))}
    return statistics, network, None


def train(
    make_env: Callable[[Mapping[str, float]], PipelineEnv],
    std: float,
    episode_steps: int,
    recipe: Recipe,
    learned: bool,
    resume: tuple[int, Params] | None,
    on_checkpoint: Callable[[int, Params], None],
) -> None:
    """Trains an agent.

    Args:
        make_env: Function that makes the brax environment with a phase's parameters of the task.
        std: Standard deviation of the action noise in phases that do not state their own.
        episode_steps: Episode length.
        recipe: Settings of PPO.
        learned: Whether the policy learns its standard deviation.
        resume: (Environment steps, parameters) of the last checkpoint of an earlier call. The steps that are left
            are those of an uninterrupted training, its random numbers and Adam's moments are not. Or (0, parameters to
            begin with).
        on_checkpoint: Function of (environment steps so far, parameters), called after every ``checkpoint_steps``.
    """
    done, params = resume or (0, None)
    before = 0
    for number, phase in enumerate(recipe.phases):
        if number and before >= done and params is not None:
            params = _rescaled(params, phase.reward_scale / recipe.phases[number - 1].reward_scale)
        left = before + phase.steps - max(done, before)
        start, before = max(done, before), before + phase.steps
        if left <= 0:
            continue

        def keep(steps: int, make_policy: Any, params: Params, start: int = start) -> None:
            if steps:  # brax also calls at the start
                on_checkpoint(start + steps, params)

        _, params, _ = brax_ppo.train(
            make_env(phase.parameters),
            left,
            episode_length=episode_steps,
            wrap_env_fn=_batch,
            num_envs=recipe.envs,
            batch_size=recipe.envs // recipe.minibatches,
            num_minibatches=recipe.minibatches,
            num_updates_per_batch=recipe.passes,
            unroll_length=phase.unroll,
            learning_rate=phase.learning_rate,
            discounting=phase.discounting,
            reward_scaling=phase.reward_scale,
            entropy_cost=0.0,  # a fixed standard deviation has a constant entropy, and a learned one is to shrink
            gae_lambda=recipe.gae_lambda,
            clipping_epsilon=recipe.clip,
            max_grad_norm=recipe.max_grad_norm,
            normalize_observations=True,
            network_factory=functools.partial(_networks, phase.action_std or std, learned),
            seed=recipe.seed + 10 * number + (start - (before - phase.steps)),
            num_evals=max(2, left // recipe.checkpoint_steps + 1),
            run_evals=False,
            policy_params_fn=keep,
            restore_params=params,
            restore_value_fn=params is not None and params[2] is not None,
            use_pmap_on_reset=False,
        )


def _rescaled(params: Params, factor: float) -> Params:
    """Values in the units of the next phase's rewards: the value network's last layer, multiplied."""
    statistics, policy, value = params
    layers = dict(value["params"])
    last = max(layers)
    layers[last] = jax.tree.map(lambda weight: weight * factor, layers[last])
    return statistics, policy, {"params": layers}
