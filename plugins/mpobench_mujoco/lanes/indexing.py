"""Gather and scatter at indices that are known while tracing, as slices: those fuse with what is around them.

Physics indexes by the shape of a body (the parent of each link, the links of each contact), which never changes.
Only what it needs is here: rows of one axis, or one window.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def take(array: jax.Array, axis: int, rows: Sequence[int]) -> jax.Array:
    """Rows of an axis, neighbours in one slice."""
    # Along a run of neighbours, row number and place differ by the same amount.
    runs = [list(run) for _, run in itertools.groupby(enumerate(rows), lambda place: place[1] - place[0])]
    parts = [lax.slice_in_dim(array, run[0][1], run[-1][1] + 1, axis=axis) for run in runs]
    return parts[0] if len(parts) == 1 else lax.concatenate(parts, axis)


def gather(
    array: jax.Array, indices: np.ndarray, parameters: dict[str, Any], shape: Sequence[int]
) -> jax.Array | None:
    """XLA's gather from an array with a batch axis, or None where it is not of the kinds that are known here.

    Args:
        array: ``(..., batch)``.
        indices: of the windows, one each in their last axis.
        parameters: of the operation without batch.
        shape: of its result without batch.
    """
    numbers, sizes = parameters["dimension_numbers"], parameters["slice_sizes"]
    axes = tuple(int(axis) for axis in numbers.start_index_map)
    if numbers.operand_batching_dims:
        return None
    if math.prod(indices.shape[:-1]) == 1:
        starts = dict(zip(axes, indices.reshape(-1).tolist(), strict=True))
        if any(not 0 <= start <= array.shape[axis] - sizes[axis] for axis, start in starts.items()):
            return None
        first = [starts.get(axis, 0) for axis in range(len(sizes))]
        last = [start + size for start, size in zip(first, sizes, strict=True)]
        return lax.slice(array, [*first, 0], [*last, array.shape[-1]]).reshape(*shape, array.shape[-1])
    if len(axes) > 1 or tuple(numbers.collapsed_slice_dims) != axes:
        return None
    (axis,), rows = axes, indices.reshape(-1)
    whole = all(size == n for i, (size, n) in enumerate(zip(sizes, array.shape, strict=False)) if i != axis)
    if not whole or not rows.size or rows.min() < 0 or rows.max() >= array.shape[axis]:
        return None
    taken = jnp.moveaxis(take(array, axis, rows.tolist()), axis, 0)
    taken = taken.reshape(*indices.shape[:-1], *taken.shape[1:])
    # Axes of the indices come first here; the operation may want them elsewhere.
    offsets = list(numbers.offset_dims)
    wanted = [i for i in range(len(shape)) if i not in offsets] + offsets
    return lax.transpose(taken, [*np.argsort(wanted), len(shape)])


def scatter(
    array: jax.Array, indices: np.ndarray, updates: jax.Array, parameters: dict[str, Any], add: bool
) -> jax.Array | None:
    """XLA's scatter of whole rows into an axis, or None where it is another kind.

    Args:
        array: ``(..., batch)``, that is scattered into.
        indices: of the rows, one each in their last axis of length 1.
        updates: with a batch axis.
        parameters: of the operation without batch.
        add: whether updates are added, instead of replacing what is there.
    """
    numbers = parameters["dimension_numbers"]
    axes = tuple(int(axis) for axis in numbers.scatter_dims_to_operand_dims)
    if numbers.operand_batching_dims or len(axes) != 1 or tuple(numbers.inserted_window_dims) != axes:
        return None
    inside = indices.size and indices.min() >= 0 and indices.max() < array.shape[axes[0]]
    if parameters["mode"] == lax.GatherScatterMode.CLIP and not inside:
        return None
    window = list(numbers.update_window_dims)
    first = [i for i in range(updates.ndim - 1) if i not in window]
    updates = lax.transpose(updates, [*first, *window, updates.ndim - 1])
    updates = updates.reshape(-1, *updates.shape[len(first) :])
    target = jnp.moveaxis(array, axes[0], 0)
    if target.shape[1:] != updates.shape[1:]:
        return None
    rows = list(target)
    for place, row in enumerate(indices.reshape(-1).tolist()):
        if 0 <= row < len(rows):  # what is out of bounds is dropped
            rows[row] = rows[row] + updates[place] if add else updates[place]
    return jnp.moveaxis(jnp.stack(rows), 0, axes[0])
