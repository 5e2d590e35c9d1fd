"""Weights of the networks: what they must look like, and where a search begins."""

from __future__ import annotations

from mpobench.tensors import Tensors

from .network import UNITS

SHAPES: dict[str, tuple[int, ...]] = {
    "kernel_in": UNITS,
    "bias": UNITS,
    "kernel_out": UNITS,
    "coefficient": (),
}
"""The tensors of each network; ``coefficient`` scales its added term."""

NON_NEGATIVE = ("kernel_in", "kernel_out", "coefficient")
"""Those that make the function increasing."""

SQUARE, LOG = 1, 5
"""Rows of the activations (x)₊² and log (x)₊ (see :func:`~.network.hidden_layer`)."""


def checked(weights: Tensors) -> Tensors:
    """The weights, if they make an increasing network.

    Raises:
        ValueError: naming the tensor that is missing, unknown, of another shape, or negative somewhere.
    """
    for name, shape in SHAPES.items():
        if name not in weights:
            raise ValueError(f"the network has no tensor {name!r} (tensors: {', '.join(SHAPES)})")
        if weights[name].shape != shape:
            raise ValueError(f"{name!r} has shape {weights[name].shape}, not {shape}")
        if name in NON_NEGATIVE and (weights[name] < 0).any():
            raise ValueError(f"{name!r} has a negative number, so that the function would not be increasing")
    for name in weights:
        if name not in SHAPES:
            raise ValueError(f"a network has no tensor {name!r} (tensors: {', '.join(SHAPES)})")
    return weights


def added_term(coefficient: float = 1.0) -> Tensors:
    """A network of zeros: the added term alone, log σ for g, log for ψ, logit for φ⁻¹, t for a schedule."""
    import numpy as np

    arrays = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    return Tensors({**arrays, "coefficient": np.float32(coefficient)})


def one_unit(activation: int) -> Tensors:
    """A network of one unit with kernels 1 and bias 0, and no added term: one of the activations itself.

    ``one_unit(LOG)`` is φ⁻¹ = log, the inverse of φ = exp, for log π above −62.
    """
    import numpy as np

    only = np.zeros(UNITS, np.float32)
    only[activation, 0] = 1
    return Tensors({**added_term(0.0), "kernel_in": only, "kernel_out": only})
