"""Rollouts with the policy in the loop beside bare brax, and two workers beside one."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from test_update_step import our_epoch

from mpobench.launchers import Local

STEPS, ROUNDS = 100, 5
EPOCHS, BUSY = 20, 0.9


def steps_per_second(cache: Path, batch: int) -> tuple[float, float]:
    """Environment steps a second of processor time: (rollouts of a policy, brax alone with random actions)."""
    import jax
    import jax.numpy as jnp

    from mpobench.registry import get_registry
    from mpobench_mujoco import data, rollouts, xla
    from mpobench_mujoco.env import MujocoEnv

    xla.configure(cache)
    tla = get_registry().build("env", "tla").component
    assert isinstance(tla, MujocoEnv)
    env, agent = data.brax_env(tla), data.agent_policy(tla, "original")
    keys = rollouts.episode_keys(data.EVALUATION, 0, batch, stream=0)
    actions = jax.random.uniform(jax.random.PRNGKey(0), (STEPS, batch, env.action_size), minval=-1, maxval=1)

    @jax.jit
    def bare(keys: jax.Array, actions: jax.Array) -> jax.Array:
        def step(state: Any, action: jax.Array) -> tuple[Any, jax.Array]:
            state = jax.vmap(env.step)(state, action)
            return state, state.reward

        return jnp.sum(jax.lax.scan(step, jax.vmap(env.reset)(keys), actions)[1])

    def with_policy() -> object:
        return rollouts.roll_out(env, agent, tla.settings.task.action_std, STEPS, *keys)

    def without() -> object:
        return jax.block_until_ready(bare(keys[0], actions))

    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(1 + ROUNDS):
        for runner, times in zip((with_policy, without), seconds, strict=True):
            began = time.process_time()
            runner()
            times.append(time.process_time() - began)
    ours, theirs = (batch * STEPS / statistics.median(times[1:]) for times in seconds)  # the first compiles
    return ours, theirs


@pytest.mark.benchmark
@pytest.mark.slow
@pytest.mark.parametrize("batch", [64, 128])
def test_the_policy_costs_little_beside_physics(benchmark: Any, tmp_path: Path, batch: int) -> None:
    def in_a_worker() -> tuple[float, float]:
        with Local().open(1, lambda *_: None) as executor:
            return executor.submit(steps_per_second, tmp_path, batch).result()

    ours, bare = benchmark.pedantic(in_a_worker, rounds=1)
    benchmark.extra_info.update(ours=ours, bare=bare)
    print(
        f"batch {batch}: {ours:,.0f} steps/s with the policy, {bare:,.0f} of brax alone ({ours / bare:.0%})"
    )
    assert ours > 0.7 * bare


def train_for_a_while(cache: Path, epochs: int) -> tuple[float, float]:
    """Epochs of the compiled update: seconds on the wall clock, and of processor time."""
    from mpobench_mujoco import xla

    xla.configure(cache)
    epoch = our_epoch()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(epochs):
        epoch()
    return time.perf_counter() - wall, time.process_time() - cpu


def seconds_of_two_tasks(cache: Path, workers: int) -> tuple[float, float]:
    """Wall time of two trainings on some warm workers, and the least share of a core that one of them got."""
    with Local().open(workers, lambda *_: None) as executor:
        warm = [executor.submit(train_for_a_while, cache, 1) for _ in range(workers)]
        assert all(each.result() for each in warm)
        began = time.perf_counter()
        tasks = [executor.submit(train_for_a_while, cache, EPOCHS) for _ in range(2)]
        shares = [cpu / wall for wall, cpu in (task.result() for task in tasks)]
        return time.perf_counter() - began, min(shares)


@pytest.mark.benchmark
@pytest.mark.slow
def test_two_workers_do_nearly_twice_the_work_of_one(benchmark: Any, tmp_path: Path) -> None:
    def race() -> list[tuple[float, float]]:
        return [seconds_of_two_tasks(tmp_path, workers) for workers in (1, 2)]

    (one, alone), (two, together) = benchmark.pedantic(race, rounds=1)
    benchmark.extra_info["throughput"] = one / two
    print(f"two workers: {one / two:.2f} times the throughput of one")
    if min(alone, together) < BUSY:
        pytest.skip(
            f"a worker got {min(alone, together):.0%} of a core: the machine is busy with other things"
        )
    assert one / two >= 1.8
