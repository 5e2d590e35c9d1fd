"""Checkpoints of PPO's parameters, from which a stopped training goes on: safetensors, never pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
from brax.training.acme.running_statistics import RunningStatisticsState
from brax.training.types import UInt64
from safetensors.numpy import load_file, save_file

from mpobench_mujoco.ppo import Params


def save(params: Params, file: Path) -> None:
    """Writes (observation statistics, policy network, value network); the file appears whole or not at all."""
    statistics, policy, value = params
    tree = {
        "statistics": {
            "mean": statistics.mean,
            "std": statistics.std,
            "summed_variance": statistics.summed_variance,
            "count_hi": statistics.count.hi,
            "count_lo": statistics.count.lo,
        },
        "policy": policy,
        "value": value,
    }
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    tensors = {"/".join(key.key for key in path): np.array(leaf) for path, leaf in leaves}
    temporary = file.with_suffix(".partial")
    save_file(tensors, temporary)
    temporary.replace(file)


def load(file: Path) -> Params:
    """Reads what :func:`save` wrote."""
    tree: dict[str, Any] = {}
    for name, tensor in load_file(file).items():
        *parents, last = name.split("/")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[last] = jax.numpy.asarray(tensor)
    statistics = tree["statistics"]
    count = UInt64(hi=statistics.pop("count_hi"), lo=statistics.pop("count_lo"))
    return RunningStatisticsState(count=count, **statistics), tree["policy"], tree["value"]
