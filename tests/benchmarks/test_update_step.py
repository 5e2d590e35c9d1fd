"""An update at the paper's size beside the matrix products that it cannot avoid, and beside plain PyTorch.

All run by turns in one worker of the local launcher, one thread each, and are timed by the processor's clock, so
that other processes disturb less.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpobench.launchers import Local

TRAJECTORIES, OBS, ACTIONS, STEPS, HIDDEN = 64, 27, 8, 1000, 64
PAIRS, UPDATES, ROUNDS = 2, 50, 9
STD, CLIP, RATE, BETA, GAMMA = 0.2, 1.3, 1e-3, 2.0, 1.0

Epoch = Callable[[], object]


def trajectories() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations and actions, features first, and minibatches of pairs."""
    rng = np.random.default_rng(0)
    observations = rng.standard_normal((TRAJECTORIES, OBS, STEPS), dtype=np.float32)
    actions = 0.3 * rng.standard_normal((TRAJECTORIES, ACTIONS, STEPS), dtype=np.float32)
    half = TRAJECTORIES // 2
    order = np.stack([rng.permutation(half)[:PAIRS] for _ in range(UPDATES)]).astype(np.int32)
    return observations, actions, order


def weights() -> dict[str, np.ndarray]:
    rng, made, into = np.random.default_rng(1), {}, OBS
    for layer, out in enumerate((HIDDEN, HIDDEN, ACTIONS), start=1):
        made[f"w{layer}"] = (rng.standard_normal((out, into)) / math.sqrt(into)).astype(np.float32)
        made[f"b{layer}"] = np.zeros((out, 1), np.float32)
        into = out
    return made


def our_epoch() -> Epoch:
    """The benchmark's own program, with SimPO."""
    import jax
    import jax.numpy as jnp

    from mpobench import objective
    from mpobench_mujoco import learner

    loss = objective(f"simpo:beta={BETA},gamma={GAMMA}")
    program = learner.Program(learner.without_numbers(loss), STD, CLIP)
    numbers = {name: jnp.asarray(value) for name, value in learner.numbers_of(loss).items()}
    observations, actions, order = (jnp.asarray(array) for array in trajectories())
    data = learner.Trajectories(observations, actions, jnp.full(TRAJECTORIES, STEPS, jnp.int32))
    first, second = jnp.split(jnp.arange(TRAJECTORIES), 2)
    pairs = learner.Pairs(first, second, jnp.zeros(TRAJECTORIES))
    progress, rate = jnp.linspace(0, 1, UPDATES), jnp.float32(RATE)

    def epoch() -> object:
        start = {name: jnp.asarray(value) for name, value in weights().items()}
        state = program.optimizer.init(start)
        done = learner.run_epoch(program, numbers, start, state, data, pairs, order, progress, rate)
        return jax.block_until_ready(done)[0]

    return epoch


def products_alone() -> Epoch:
    """The matrix products of forward and backward pass in the same layout, and nothing else."""
    import jax
    import jax.numpy as jnp

    observations = jnp.asarray(np.concatenate(trajectories()[0][: 2 * PAIRS], axis=1))

    @jax.jit
    def scan(layers: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        def update(layers: tuple[jax.Array, ...], _: None) -> tuple[tuple[jax.Array, ...], None]:
            w1, w2, w3 = layers
            h1 = w1 @ observations
            h2 = w2 @ h1
            out = w3 @ h2
            back2 = w3.T @ out
            back1 = w2.T @ back2
            gradients = back1 @ observations.T, back2 @ h1.T, out @ h2.T
            return tuple(w - 1e-9 * g for w, g in zip(layers, gradients, strict=True)), None

        return jax.lax.scan(update, layers, None, length=UPDATES)[0]

    start = tuple(jnp.asarray(weights()[f"w{layer}"]) for layer in (1, 2, 3))
    return lambda: jax.block_until_ready(scan(start))


def torch_epoch() -> Epoch:
    """The same updates as one would write them in PyTorch: modules, autograd, Adam."""
    import torch

    torch.set_num_threads(1)
    observations, actions, order = trajectories()
    seen = torch.tensor(observations.transpose(0, 2, 1).copy())
    done = torch.tensor(actions.transpose(0, 2, 1).copy())
    lengths = torch.full((TRAJECTORIES,), STEPS)
    half = TRAJECTORIES // 2

    def network() -> torch.nn.Sequential:
        layers: list[torch.nn.Module] = []
        for layer in (1, 2, 3):
            weight, bias = (torch.tensor(weights()[f"{kind}{layer}"]) for kind in "wb")
            linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
            linear.weight.data, linear.bias.data = weight, bias[:, 0]
            layers += [linear, torch.nn.Tanh()]
        return torch.nn.Sequential(*layers)

    def epoch() -> object:
        policy = network()
        optimizer = torch.optim.Adam(policy.parameters(), RATE)
        curves = []
        for rows in torch.tensor(order, dtype=torch.long):
            members = torch.cat([rows, rows + half])
            noise = torch.distributions.Normal(policy(seen[members]), STD, validate_args=False)
            alive = torch.arange(STEPS) < lengths[members, None]
            steps = (noise.log_prob(done[members]) - 1).sum(dim=2)
            logps = (steps * alive).sum(dim=1) / lengths[members]
            chosen, rejected = logps.split(PAIRS)
            margin = chosen - rejected
            loss = -torch.nn.functional.logsigmoid(BETA * margin - GAMMA).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), CLIP)
            optimizer.step()
            seen_now = (loss, margin.mean(), (margin > 0).float().mean(), chosen.mean(), rejected.mean())
            curves.append(torch.stack([value.detach() for value in seen_now]))
        torch.stack(curves).mean(dim=0)
        return {
            f"{kind}{layer}": getattr(policy[2 * layer - 2], name).detach().numpy()
            for layer in (1, 2, 3)
            for kind, name in (("w", "weight"), ("b", "bias"))
        }

    return epoch


def race(cache: Path) -> tuple[dict[str, float], float]:
    """Median milliseconds of an update, by runner, and how far apart ours and PyTorch's weights end."""
    from mpobench_mujoco import xla

    xla.configure(cache)
    runners = {"ours": our_epoch(), "PyTorch": torch_epoch(), "products": products_alone()}
    ends: dict[str, Any] = {name: runner() for name, runner in runners.items()}
    distance = max(
        float(np.abs(np.asarray(end).ravel() - ends["PyTorch"][name].ravel()).max())
        for name, end in ends["ours"].items()
    )
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(ROUNDS):
        for name, runner in runners.items():
            began = time.process_time()
            runner()
            seconds[name].append(time.process_time() - began)
    return {name: 1e3 * statistics.median(times) / UPDATES for name, times in seconds.items()}, distance


@pytest.mark.benchmark
def test_an_update_is_faster_than_pytorchs_and_near_the_products_alone(
    benchmark: Any, tmp_path: Path
) -> None:
    def in_a_worker() -> tuple[dict[str, float], float]:
        with Local().open(1, lambda *_: None) as executor:
            return executor.submit(race, tmp_path).result()

    milliseconds, distance = benchmark.pedantic(in_a_worker, rounds=1)
    ratio = milliseconds["PyTorch"] / milliseconds["ours"]
    benchmark.extra_info.update(milliseconds, ratio=ratio)
    for name, each in milliseconds.items():
        print(f"{name:10} {each:6.2f} ms an update, {each / milliseconds['ours']:4.2f} times ours")
    assert distance < 0.1 * RATE * UPDATES, "they do not do the same work"
    assert ratio > 2
    assert milliseconds["ours"] < 1.6 * milliseconds["products"]
