"""Whole numbers that are known while tracing, computed by NumPy: rules that index need them.

``jax.ensure_compile_time_eval`` would do, but it compiles every operation by itself, and a physics step has hundreds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from mpobench_mujoco.lanes.values import Equation, bind


def _broadcast(array: Any, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], **_: Any) -> Any:
    sizes = dict(zip(broadcast_dimensions, array.shape, strict=True))
    return np.broadcast_to(array.reshape([sizes.get(axis, 1) for axis in range(len(shape))]), shape)


def _slice(array: Any, *, start_indices: Any, limit_indices: Any, strides: Any, **_: Any) -> Any:
    return array[tuple(map(slice, start_indices, limit_indices, strides or [1] * len(start_indices)))]


def _iota(*, shape: Sequence[int], dimension: int, **_: Any) -> Any:
    along = [-1 if axis == dimension else 1 for axis in range(len(shape))]
    return np.broadcast_to(np.arange(shape[dimension]).reshape(along), shape)


def _elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays, **_: function(*arrays)


BY_NUMPY: dict[str, Callable[..., Any]] = {
    "lt": _elementwise(np.less),
    "le": _elementwise(np.less_equal),
    "gt": _elementwise(np.greater),
    "ge": _elementwise(np.greater_equal),
    "eq": _elementwise(np.equal),
    "ne": _elementwise(np.not_equal),
    "and": _elementwise(np.bitwise_and),
    "or": _elementwise(np.bitwise_or),
    "add": _elementwise(np.add),
    "sub": _elementwise(np.subtract),
    "mul": _elementwise(np.multiply),
    "sign": _elementwise(np.sign),
    "convert_element_type": _elementwise(np.asarray),
    "select_n": _elementwise(lambda which, *cases: np.where(which, *reversed(cases))),
    "broadcast_in_dim": _broadcast,
    "squeeze": lambda array, *, dimensions, **_: np.squeeze(array, tuple(dimensions)),
    "concatenate": lambda *arrays, dimension, **_: np.concatenate(arrays, dimension),
    "slice": _slice,
    "iota": _iota,
}
"""By the name of the operation; two cases of ``select_n`` are all that a boolean chooses from."""


def fold(equation: Equation, values: Sequence[Any]) -> Sequence[Any] | None:
    """The results of an operation on known values, or None where they are not whole numbers."""
    types = [atom.aval.dtype for atom in (*equation.invars, *equation.outvars)]
    if not all(jax.numpy.issubdtype(dtype, np.integer) or dtype == np.bool_ for dtype in types):
        return None
    name, parameters = equation.primitive.name, equation.params
    if name in BY_NUMPY and not (name == "select_n" and types[0] != np.bool_):
        arrays = [np.asarray(value) for value in values]
        return [np.asarray(BY_NUMPY[name](*arrays, **parameters)).astype(types[-1])]
    with jax.ensure_compile_time_eval():
        return bind(equation, values)
