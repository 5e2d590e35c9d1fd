"""What the interpreter computes with: operations, arrays that have a batch axis, and arrays that have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax


class Lanes(NamedTuple):
    """An array of every environment's, ``(..., batch)``."""

    array: jax.Array


Value: TypeAlias = Lanes | Any
"""Lanes, or an array (or number) that is the same in all environments."""


Equation: TypeAlias = Any
"""An operation of a traced function, ``jax.extend.core.JaxprEqn``."""


def bind(equation: Equation, values: Sequence[Any]) -> Sequence[Any]:
    """The results of an operation on arrays, as JAX defines them."""
    result = equation.primitive.bind(*values, **equation.primitive.get_bind_params(equation.params))
    return result if equation.primitive.multiple_results else [result]


def bare(value: Value) -> Any:
    """The array of a value, whether or not it has a batch axis."""
    return value.array if isinstance(value, Lanes) else value


def is_concrete(value: Value) -> bool:
    """Whether a value is known while tracing."""
    return not isinstance(value, Lanes | jax.core.Tracer)


def widen(value: Value, batch: int) -> jax.Array:
    """A value with its batch axis: what is the same in all environments is repeated."""
    if isinstance(value, Lanes):
        return value.array
    array = jnp.asarray(value)
    return lax.broadcast_in_dim(array, (*array.shape, batch), tuple(range(array.ndim)))


def spread(value: Value, shape: Sequence[int]) -> jax.Array:
    """A value in a batched shape: scalars and axes of length 1 are repeated."""
    shape = tuple(shape)
    array = jnp.asarray(bare(value))
    if array.shape == shape:
        return array
    own = array.ndim - isinstance(value, Lanes)
    batch = (len(shape) - 1,) if isinstance(value, Lanes) else ()
    return lax.broadcast_in_dim(array, shape, (*range(own), *batch))
