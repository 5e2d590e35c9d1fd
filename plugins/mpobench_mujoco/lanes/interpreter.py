"""Tracing a function for one environment, and carrying it out for many."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.extend import core

from mpobench_mujoco.lanes import constants
from mpobench_mujoco.lanes.rules import RULES
from mpobench_mujoco.lanes.values import Equation, Lanes, Value, bare, bind, is_concrete, spread, widen

INLINED = {
    "jit": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
}
"""Operations that are calls, and their parameter that is what they call. Nothing is differentiated here."""


def in_lanes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Vectorises a function over the last axis of every array in its arguments and its result.

    Args:
        function: of pytrees of arrays, at least one of them, to a pytree of arrays; pure.

    Returns:
        the same as ``jax.vmap(function, in_axes=-1, out_axes=-1)``, up to rounding; raises ValueError
        where the last axes of its arrays are not equally long.
    """

    def batched(*arguments: Any) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        lengths = {leaf.shape[-1] for leaf in leaves}
        if len(lengths) != 1:
            raise ValueError(
                f"one batch size is needed in the last axis of all arrays, not {sorted(lengths)}"
            )
        (batch,) = lengths
        one = [jax.ShapeDtypeStruct(leaf.shape[:-1], leaf.dtype) for leaf in leaves]
        traced, result = jax.make_jaxpr(function, return_shape=True)(*jax.tree.unflatten(structure, one))
        outputs = _evaluate(traced, [Lanes(leaf) for leaf in leaves], batch)
        return jax.tree.unflatten(jax.tree.structure(result), [widen(output, batch) for output in outputs])

    return batched


def _evaluate(program: Any, inputs: Sequence[Value], batch: int) -> list[Value]:
    """Carries out a closed jaxpr."""
    jaxpr = program.jaxpr
    known: dict[Any, Value] = dict(zip(jaxpr.constvars, program.consts, strict=True))
    known |= zip(jaxpr.invars, inputs, strict=True)

    def read(atom: Any) -> Value:
        return atom.val if isinstance(atom, core.Literal) else known[atom]

    for equation in jaxpr.eqns:
        values = [read(atom) for atom in equation.invars]
        known |= zip(equation.outvars, _carry_out(equation, values, batch), strict=True)
    return [read(atom) for atom in jaxpr.outvars]


def _carry_out(equation: Equation, values: Sequence[Value], batch: int) -> Sequence[Value]:
    name, parameters = equation.primitive.name, equation.params
    if name in INLINED:
        return _evaluate(parameters[INLINED[name]], values, batch)
    if name == "device_put":
        return values
    if not any(isinstance(value, Lanes) for value in values):
        return _same_for_all(equation, values)
    if name == "scan":
        return _scan(parameters, values, batch)
    if name == "cond":
        return _switch(parameters["branches"], values, batch)
    rule = RULES.get(name)
    result = None if rule is None else rule(equation, values, batch)
    return _by_vmap(equation, values, batch) if result is None else [Lanes(result)]


def _same_for_all(equation: Equation, values: Sequence[Value]) -> Sequence[Value]:
    """Once for all environments."""
    folded = None
    # The platform is known only when a program is compiled.
    if equation.primitive.name != "platform_index" and all(is_concrete(value) for value in values):
        folded = constants.fold(equation, values)
    return bind(equation, values) if folded is None else folded


def _by_vmap(equation: Equation, values: Sequence[Value], batch: int) -> Sequence[Value]:
    """By JAX's own rule."""
    axes = [-1 if isinstance(value, Lanes) else None for value in values]
    batched: Callable[..., Any] = jax.vmap(
        lambda *one: bind(equation, one), in_axes=axes, out_axes=-1, axis_size=batch
    )
    return [Lanes(result) for result in batched(*map(bare, values))]


def _switch(branches: Sequence[Any], values: Sequence[Value], batch: int) -> Sequence[Value]:
    """One branch where all environments take the same; else all of them, and each environment its own result."""
    index, *operands = values
    if not isinstance(index, Lanes) and is_concrete(index):
        return _evaluate(branches[int(index)], operands, batch)

    def take(branch: Any) -> list[jax.Array]:
        return [widen(result, batch) for result in _evaluate(branch, operands, batch)]

    if isinstance(index, Lanes):
        results = zip(*map(take, branches), strict=True)
        return [Lanes(lax.select_n(spread(index, case[0].shape), *case)) for case in results]
    return [Lanes(result) for result in lax.switch(index, [functools.partial(take, b) for b in branches])]


def _scan(parameters: dict[str, Any], values: Sequence[Value], batch: int) -> Sequence[Value]:
    """A loop: all that it carries from step to step is lanes."""
    body, fixed, carried = parameters["jaxpr"], parameters["num_consts"], parameters["num_carry"]
    same, start, inputs = values[:fixed], values[fixed : fixed + carried], values[fixed + carried :]
    # A slice of lanes along the loop's axis, the first, is lanes again.
    wide = [isinstance(value, Lanes) for value in inputs]

    def step(carry: list[jax.Array], slices: list[jax.Array]) -> tuple[list[jax.Array], list[jax.Array]]:
        sliced = [Lanes(array) if lanes else array for array, lanes in zip(slices, wide, strict=True)]
        results = _evaluate(body, [*same, *map(Lanes, carry), *sliced], batch)
        arrays = [widen(result, batch) for result in results]
        return arrays[:carried], arrays[carried:]

    last, stacked = lax.scan(
        step,
        [widen(value, batch) for value in start],
        [bare(value) for value in inputs],
        length=parameters["length"],
        reverse=parameters["reverse"],
        unroll=parameters["unroll"],
    )
    return [Lanes(array) for array in (*last, *stacked)]
