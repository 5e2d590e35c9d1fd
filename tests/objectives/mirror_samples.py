"""Networks to try the mirror objectives on, and the network of the paper's §3.1 in 40 digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from mpmath import mp, mpf
from objective_samples import FILES, build, has_networks
from published_formulas import g as named_g
from published_formulas import inverse_potential, sigma

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

FOUND = [
    name for name, file in FILES.items() if file.card.objective in NETWORKS and has_networks(build(name))
]
"""Registered objective files that have networks."""


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


Function = Callable[[mpf], mpf]


def exact_functions(objective: Objective, t: mpf) -> tuple[Function, Function, Function, mpf]:
    """ψ and φ⁻¹ of a probability, g of a margin, and α at ``t``, in 40 digits: as networks where there are any."""

    def function(name: str, floor: mpf, added: Function, closed_form: Function) -> Function:
        weights = getattr(objective, f"{name}_network", None)
        if weights is None:
            return closed_form
        coefficient = mpf(float(weights["coefficient"]))
        return lambda x: exact_network(weights, x, floor) + coefficient * added(x)

    def potential(name: str) -> Function:
        return lambda p: inverse_potential(getattr(objective, name), p, mpf(objective.q))

    psi = function("psi", PI_FLOOR, mp.log, potential("psi"))
    phi_inverse = function("phi", PI_FLOOR, lambda p: mp.log(p / (1 - p)), potential("phi"))
    g = function("g", X_FLOOR, lambda x: named_g("log-sigmoid", x), lambda x: named_g(objective.g, x))
    return psi, phi_inverse, g, exact_weight(objective, t)


def exact_weight(objective: Objective, t: mpf) -> mpf:
    """α(t) of TAMPO; 1 for objectives that do not change in the course of training."""
    weights = getattr(objective, "schedule_network", None)
    if weights is None:
        closed_forms = {"linear": t, "quadratic": t * t, "sigmoid": sigma(20 * (t - mpf("0.75")))}
        return closed_forms.get(getattr(objective, "schedule", ""), mpf(1))
    slope = mpf(float(weights["coefficient"])) + mpf(10) ** -6
    start, here, end = (exact_network(weights, x, X_FLOOR) + slope * x for x in (mpf(0), t, mpf(1)))
    return (here - start) / (end - start)
