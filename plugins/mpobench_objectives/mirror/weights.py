"""Weights of the networks: what they must look like, and where a search begins."""

from __future__ import annotations

from mpobench.protocols import Tensors

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

IDENTITY, SQUARE, ROOTS, LOG, TANH, LOGIT = 0, 1, (3, 4), 5, 7, 8
"""Rows of some activations (see :func:`~.network.hidden_layer`)."""


def checked(weights: Tensors) -> Tensors:
    """The weights, if they make an increasing network.

    Raises:
        ValueError: Naming the tensor that is missing, unknown, of another shape, or negative somewhere.
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


def ready_units() -> Tensors:
    """The added term alone again, but as neighbours of g = log σ that are worth looking at.

    The output kernel is zero, so that the value is the added term's. Units that grow no faster than a line stand ready
    where margins are, from −4 to 4 nats: tanh side by side, and those that are steep at one end (roots, logarithm,
    logit) with that end outside, since around a network of zeros most small changes put it among the margins, where
    it drowns everything else. Those that grow faster have no input: with one, the smallest output makes a loss
    without a lower bound, which trains policies to pieces.
    """
    import numpy as np

    kernel, bias = np.zeros(UNITS, np.float32), np.zeros(UNITS, np.float32)
    across = np.linspace(-1, 1, UNITS[1], dtype=np.float32)
    kernel[[IDENTITY, *ROOTS, LOG, TANH]] = 0.3
    bias[[*ROOTS, LOG]] = 2 + 0.5 * across  # they see 0.3 to 3.7
    bias[TANH] = across  # turns from −3.3 to 3.3
    kernel[LOGIT], bias[LOGIT] = 0.1, 0.5  # it sees 0.1 to 0.9
    return Tensors({**added_term(), "kernel_in": kernel, "bias": bias})


def one_unit(activation: int, kernel: float = 1.0, bias: float = 0.0) -> Tensors:
    """A network of one unit and no added term: an activation of ``kernel * x + bias``.

    ``one_unit(LOG)`` is φ⁻¹ = log, the inverse of φ = exp, for log π above −62.
    """
    import numpy as np

    def only(value: float) -> np.ndarray:
        array = np.zeros(UNITS, np.float32)
        array[activation, 0] = value
        return array

    return Tensors(
        {**added_term(0.0), "kernel_in": only(kernel), "bias": only(bias), "kernel_out": only(1.0)}
    )


def identity_units() -> Tensors:
    """g(x) = x, and the other units ready beside it (see :func:`ready_units`)."""
    import numpy as np

    ready = ready_units()
    kernel_out = np.zeros(UNITS, np.float32)
    kernel_out[IDENTITY, 0] = 1 / ready["kernel_in"][IDENTITY, 0]
    return Tensors({**ready, "kernel_out": kernel_out, "coefficient": np.float32(0)})


def idle_units() -> Tensors:
    """g(x) = 0, and all units ready (see :func:`ready_units`)."""
    import numpy as np

    return Tensors({**ready_units(), "coefficient": np.float32(0)})
