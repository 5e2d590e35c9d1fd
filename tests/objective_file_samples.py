"""Objectives made of networks, to save and to load."""

from __future__ import annotations

from typing import Any

import numpy as np

import mpobench
from mpobench import Objective

NETWORKS = {
    "1s-mpo": ("psi_network", "phi_network", "g_network"),
    "2s-mpo": ("phi_network", "g_network"),
    "tampo": ("psi_network", "phi_network", "g_network", "schedule_network"),
}


def weights(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shapes = {"kernel_in": (9, 14), "bias": (9, 14), "kernel_out": (9, 14), "coefficient": ()}
    return {name: np.asarray(rng.random(shape), np.float32) for name, shape in shapes.items()}


def one_step(**fields: Any) -> Objective:
    """A 1s-mpo of three networks."""
    networks = {name: weights(seed) for seed, name in enumerate(NETWORKS["1s-mpo"])}
    return type(mpobench.objective("1s-mpo"))(**{**networks, **fields})
