"""Networks to try the mirror objectives on, and the network of the paper's §3.1 in 40 digits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from mpmath import mp, mpf
from objective_samples import build

from mpobench import Objective, Tensors

PI_FLOOR, X_FLOOR = mpf(10) ** -27, mpf(10) ** -6


def random_network(seed: int, largest: float = 1.0) -> Tensors:
    """Kernels of all magnitudes up to ``largest``, a third of them zero, and biases of either sign."""
    rng = np.random.default_rng([seed, 17])

    def magnitudes() -> np.ndarray:
        return largest * 10 ** rng.uniform(-4, 0, (9, 14)) * (rng.random((9, 14)) < 2 / 3)

    arrays = {
        "kernel_in": magnitudes(),
        "bias": rng.choice([0.0, 0.01, 1.0], (9, 14)) * rng.normal(size=(9, 14)),
        "kernel_out": magnitudes(),
        "coefficient": largest * rng.random(),
    }
    return Tensors({name: np.asarray(array, np.float32) for name, array in arrays.items()})


COMPILED_QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Compiler options of jax: a program that runs once need not run fast."""

NETWORKS = {
    "1s-mpo": ("psi_network", "phi_network", "g_network"),
    "2s-mpo": ("phi_network", "g_network"),
    "tampo": ("psi_network", "phi_network", "g_network", "schedule_network"),
}
"""The networks of each mirror objective."""


def with_networks(name: str, seed: int, largest: float = 1.0, **fields: object) -> Objective:
    """A mirror objective whose every function is a random network."""
    networks = {
        field: random_network(10 * seed + number, largest) for number, field in enumerate(NETWORKS[name])
    }
    return build(name, **networks, **fields)


def exact_network(weights: Mapping[str, np.ndarray], x: mpf, floor: mpf) -> mpf:
    """Σ v a(u x + b) as the paper writes it, with the clips of its roots, logarithms, powers and odds."""

    def plus(z: mpf) -> mpf:
        return max(z, floor)

    def limited(z: mpf) -> mpf:
        return max(min(z, mpf(1000)), mpf(-1000))

    def logit(z: mpf) -> mpf:
        inside = max(min(z, mpf(1 - 1e-6)), floor)
        return mp.log(inside / (1 - inside))

    activations = [
        lambda z: z,
        lambda z: max(limited(z), mpf(0)) ** 2,
        lambda z: limited(z) ** 3,
        lambda z: mp.sqrt(plus(z)),
        lambda z: mp.cbrt(plus(z)),
        lambda z: mp.log(plus(z)),
        lambda z: mp.exp(min(z, mpf(15))),
        mp.tanh,
        logit,
    ]
    kernel_in, bias, kernel_out = (weights[part] for part in ("kernel_in", "bias", "kernel_out"))
    total = mpf(0)
    for row, activation in enumerate(activations):
        for unit in range(14):
            before = mpf(float(kernel_in[row, unit])) * x + mpf(float(bias[row, unit]))
            total += mpf(float(kernel_out[row, unit])) * activation(before)
    return total


def exact_functions(networks: Mapping[str, Mapping[str, np.ndarray]], t: mpf) -> dict[str, object]:
    """ψ and φ⁻¹ of a probability, g of a margin, and α at ``t``, in 40 digits."""

    def coefficient(name: str) -> mpf:
        return mpf(float(networks[name]["coefficient"]))

    def psi(p: mpf) -> mpf:
        return exact_network(networks["psi_network"], p, PI_FLOOR) + coefficient("psi_network") * mp.log(p)

    def phi_inverse(p: mpf) -> mpf:
        added = coefficient("phi_network") * mp.log(p / (1 - p))
        return exact_network(networks["phi_network"], p, PI_FLOOR) + added

    def g(x: mpf) -> mpf:
        added = coefficient("g_network") * mp.log(1 / (1 + mp.exp(-x)))
        return exact_network(networks["g_network"], x, X_FLOOR) + added

    def alpha() -> mpf:
        def rise(x: mpf) -> mpf:
            slope = coefficient("schedule_network") + mpf(10) ** -6
            return exact_network(networks["schedule_network"], x, X_FLOOR) + slope * x

        return (rise(t) - rise(mpf(0))) / (rise(mpf(1)) - rise(mpf(0)))

    return {"psi": psi, "phi_inverse": phi_inverse, "g": g, "alpha": alpha}
