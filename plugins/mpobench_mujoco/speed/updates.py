"""The update step at the paper's size, beside its matrix products alone and beside plain PyTorch."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mpobench.registry.registry import get_registry
from mpobench_mujoco import learner, xla
from mpobench_mujoco.policy import HIDDEN
from mpobench_mujoco.speed.turns import Runner, by_turns

TRAJECTORIES, OBS, ACTIONS, STEPS = 64, 27, 8, 1000
PAIRS, UPDATES = 2, 50
STD, CLIP, RATE, BETA, GAMMA = 0.2, 1.3, 1e-3, 2.0, 1.0

Arrays = dict[str, NDArray[np.float32]]


def milliseconds(cache: Path) -> tuple[dict[str, float], float | None]:
    """Times an update of 2 pairs × 2 × 1000 steps with SimPO.

    Args:
        cache: Folder of compiled programs.

    Returns:
        Milliseconds an update of ``mpobench``, ``products`` and, where torch is installed, ``PyTorch``; and how far
        apart the weights of ours and of PyTorch end after 50 updates.
    """
    xla.configure(cache)
    runners: dict[str, Runner] = {"mpobench": our_updates(), "products": products_alone()}
    distance = None
    if importlib.util.find_spec("torch"):
        runners["PyTorch"] = torch_updates()
        ours, theirs = (runners[name]() for name in ("mpobench", "PyTorch"))
        distance = _distance(ours, theirs)
    return {name: 1e3 * each / UPDATES for name, each in by_turns("updates", runners).items()}, distance


def _distance(ours: Any, theirs: Any) -> float:
    return max(float(np.abs(np.asarray(ours[name]).ravel() - theirs[name].ravel()).max()) for name in theirs)


def _trajectories() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    """Observations and actions, features first, and minibatches of pairs."""
    rng = np.random.default_rng(0)
    observations = rng.standard_normal((TRAJECTORIES, OBS, STEPS), dtype=np.float32)
    actions = np.float32(0.3) * rng.standard_normal((TRAJECTORIES, ACTIONS, STEPS), dtype=np.float32)
    half = TRAJECTORIES // 2
    order = np.stack([rng.permutation(half)[:PAIRS] for _ in range(UPDATES)]).astype(np.int32)
    return observations, actions, order


def _weights() -> Arrays:
    rng, into = np.random.default_rng(1), OBS
    made: Arrays = {}
    for layer, out in enumerate((*HIDDEN, ACTIONS), start=1):
        made[f"w{layer}"] = (rng.standard_normal((out, into)) / math.sqrt(into)).astype(np.float32)
        made[f"b{layer}"] = np.zeros((out, 1), np.float32)
        into = out
    return made


def our_updates() -> Runner:
    """The benchmark's own program."""
    objective = get_registry().build("objective", f"simpo:beta={BETA},gamma={GAMMA}").component
    program = learner.Program(objective.static, STD, CLIP)
    params = jax.tree.map(jnp.asarray, objective.params)
    observations, actions, order = (jnp.asarray(array) for array in _trajectories())
    data = learner.Trajectories(observations, actions, jnp.full(TRAJECTORIES, STEPS, jnp.int32))
    first, second = jnp.split(jnp.arange(TRAJECTORIES), 2)
    pairs = learner.Pairs(first, second, jnp.zeros(TRAJECTORIES))
    progress, rates = jnp.linspace(0, 1, UPDATES), jnp.full(UPDATES, RATE)

    def updates() -> object:
        start = {name: jnp.asarray(value) for name, value in _weights().items()}
        state = program.optimizer.init(start)
        done = learner.run_epoch(program, params, start, state, data, pairs, order, progress, rates)
        return jax.block_until_ready(done)[0]

    return updates


def products_alone() -> Runner:
    """The matrix products of forward and backward pass in the same layout, and nothing else."""
    observations = jnp.asarray(np.concatenate(_trajectories()[0][: 2 * PAIRS], axis=1))

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

        done: tuple[jax.Array, ...] = jax.lax.scan(update, layers, None, length=UPDATES)[0]
        return done

    start = tuple(jnp.asarray(_weights()[f"w{layer}"]) for layer in (1, 2, 3))
    return lambda: jax.block_until_ready(scan(start))


def torch_updates() -> Runner:
    """The same updates as one would write them in PyTorch: modules, autograd, Adam."""
    import torch

    torch.set_num_threads(1)
    observations, actions, order = _trajectories()
    seen = torch.tensor(observations.transpose(0, 2, 1).copy())
    done = torch.tensor(actions.transpose(0, 2, 1).copy())
    lengths = torch.full((TRAJECTORIES,), STEPS)
    half = TRAJECTORIES // 2

    def network() -> torch.nn.Sequential:
        layers: list[torch.nn.Module] = []
        for layer in (1, 2, 3):
            weight, bias = (torch.tensor(_weights()[f"{kind}{layer}"]) for kind in "wb")
            linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
            linear.weight.data, linear.bias.data = weight, bias[:, 0]
            layers += [linear, torch.nn.Tanh()]
        return torch.nn.Sequential(*layers)

    def updates() -> object:
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
        parameters = [each.detach().numpy() for each in policy.parameters()]
        return dict(zip(("w1", "b1", "w2", "b2", "w3", "b3"), parameters, strict=True))

    return updates
