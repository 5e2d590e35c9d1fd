"""How single operations are carried out with the batch in the last axis.

A rule takes the operation's equation, its operands (at least one of them in lanes) and the batch size; it returns the
result's array, or None to leave the operation to ``jax.vmap``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mpobench_mujoco.lanes import indexing
from mpobench_mujoco.lanes.values import Equation, Lanes, Value, bare, is_concrete, spread, widen

Rule: TypeAlias = Callable[[Equation, Sequence[Value], int], jax.Array | None]

LONG_CONTRACTION = 16
"""Shorter sums of products are written out, which fuses; longer ones are left to a reduction."""


def _elementwise(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array:
    shape = (*equation.outvars[0].aval.shape, batch)
    result: jax.Array = equation.primitive.bind(*(spread(v, shape) for v in values), **equation.params)
    return result


def _same_axes(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array:
    """Reductions and the like: their axes are counted from the first, so that a last one more does not matter."""
    result: jax.Array = equation.primitive.bind(*(widen(v, batch) for v in values), **equation.params)
    return result


def _broadcast_in_dim(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array:
    shape = equation.params["shape"]
    axes = (*equation.params["broadcast_dimensions"], len(shape))
    return lax.broadcast_in_dim(widen(values[0], batch), (*shape, batch), axes)


def _reshape(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array | None:
    if equation.params["dimensions"] is not None:
        return None
    return widen(values[0], batch).reshape(*equation.params["new_sizes"], batch)


def _transpose(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array:
    order = equation.params["permutation"]
    return lax.transpose(widen(values[0], batch), (*order, len(order)))


def _slice(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array:
    starts, limits, strides = (equation.params[k] for k in ("start_indices", "limit_indices", "strides"))
    return lax.slice(
        widen(values[0], batch), (*starts, 0), (*limits, batch), None if strides is None else (*strides, 1)
    )


def _concatenate(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array:
    return lax.concatenate([widen(v, batch) for v in values], equation.params["dimension"])


def _pad(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array | None:
    array, filling = values
    if isinstance(filling, Lanes):
        return None
    return lax.pad(widen(array, batch), filling, (*equation.params["padding_config"], (0, 0, 0)))


def _tile(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array:
    return jnp.tile(widen(values[0], batch), (*equation.params["reps"], 1))


def _dot_general(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array | None:
    """Small products, as sums of elementwise ones: the batch is what fills the vectors."""
    contracted, batched = equation.params["dimension_numbers"]
    result = equation.outvars[0].aval
    if not jnp.issubdtype(result.dtype, jnp.floating):
        return None
    if result.size == 0 or not all(np.size(bare(v)) for v in values):
        return None
    free = [
        [i for i in range(v.aval.ndim) if i not in contracted[side] and i not in batched[side]]
        for side, v in enumerate(equation.invars)
    ]
    factors = []
    for side, value in enumerate(values):
        array = value.array if isinstance(value, Lanes) else jnp.asarray(value)[..., None]
        order = (*contracted[side], *batched[side], *free[side], array.ndim - 1)
        array = lax.transpose(array, order).astype(result.dtype)  # operands may be of other types
        split = len(contracted[side]), len(contracted[side]) + len(batched[side])
        length = math.prod(array.shape[: split[0]])
        mine, others = array.shape[split[1] : -1], [1] * len(free[1 - side])
        both = (*mine, *others) if side == 0 else (*others, *mine)
        factors.append(array.reshape(length, *array.shape[split[0] : split[1]], *both, array.shape[-1]))
    left, right = factors
    if len(left) > LONG_CONTRACTION:
        return jnp.sum(left * right, axis=0)
    total = left[0] * right[0]
    for k in range(1, len(left)):
        total = total + left[k] * right[k]
    return total


def _gather(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array | None:
    array, indices = values
    if not (isinstance(array, Lanes) and is_concrete(indices)):
        return None
    return indexing.gather(array.array, np.asarray(indices), equation.params, equation.outvars[0].aval.shape)


def _scatter(equation: Equation, values: Sequence[Value], batch: int) -> jax.Array | None:
    array, indices, updates = values
    function = equation.params["update_jaxpr"]  # of `.at[...].apply`; to add, it is not looked at
    if not is_concrete(indices) or (equation.primitive.name == "scatter" and function is not None):
        return None
    add = equation.primitive.name == "scatter-add"
    wide = widen(array, batch), widen(updates, batch)
    return indexing.scatter(wide[0], np.asarray(indices), wide[1], equation.params, add)


ELEMENTWISE = (
    "abs",
    "acos",
    "acosh",
    "add",
    "and",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "clamp",
    "convert_element_type",
    "copy",
    "cos",
    "cosh",
    "div",
    "eq",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "ge",
    "gt",
    "integer_pow",
    "is_finite",
    "le",
    "log",
    "log1p",
    "logistic",
    "lt",
    "max",
    "min",
    "mul",
    "ne",
    "neg",
    "nextafter",
    "not",
    "or",
    "pow",
    "reduce_precision",
    "rem",
    "round",
    "rsqrt",
    "select_n",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "sub",
    "tan",
    "tanh",
    "xor",
)

SAME_AXES = (
    "argmax",
    "argmin",
    "cumlogsumexp",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "reduce_and",
    "reduce_max",
    "reduce_min",
    "reduce_or",
    "reduce_prod",
    "reduce_sum",
    "rev",
    "squeeze",
)

RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(SAME_AXES, _same_axes),
    "broadcast_in_dim": _broadcast_in_dim,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "concatenate": _concatenate,
    "pad": _pad,
    "tile": _tile,
    "dot_general": _dot_general,
    "gather": _gather,
    "scatter": _scatter,
    "scatter-add": _scatter,
}
