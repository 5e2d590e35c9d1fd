"""The batch in the last axis: every operation against ``jax.vmap``, which puts it first."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jax import lax

from mpobench_mujoco import physics, xla
from mpobench_mujoco.lanes import constants, in_lanes, interpreter, rules

BATCH = 5
TABLE = jnp.arange(12.0).reshape(4, 3)


def lanes_of(*shapes: tuple[int, ...], seed: int = 0) -> list[jax.Array]:
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.uniform(0.1, 0.9, (*shape, BATCH)), jnp.float32) for shape in shapes]


def assert_as_vmap(cases: dict[str, tuple[Any, tuple[jax.Array, ...]]]) -> None:
    """Checks functions with their arguments, all of them in one program: it compiles in a fraction of the time."""

    def both(arguments: dict[str, tuple[jax.Array, ...]]) -> tuple[dict[str, Any], dict[str, Any]]:
        expected, found = {}, {}
        for name, (function, _) in cases.items():
            with told_by(name):
                expected[name] = jax.vmap(function, in_axes=-1, out_axes=-1)(*arguments[name])
                found[name] = in_lanes(function)(*arguments[name])
        return expected, found

    program = jax.jit(both, compiler_options=xla.ONCE)
    expected, found = program({name: arguments for name, (_, arguments) in cases.items()})
    for name in cases:
        assert jax.tree.structure(found[name]) == jax.tree.structure(expected[name]), name
        for one, other in zip(jax.tree.leaves(found[name]), jax.tree.leaves(expected[name]), strict=True):
            assert one.dtype == other.dtype, name
            np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-6, err_msg=name)


@contextlib.contextmanager
def told_by(name: str) -> Iterator[None]:
    """Adds the name of a case to whatever is raised."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {name}")
        raise


UNARY = {
    "abs": lambda x: jnp.abs(x - 0.5),
    "acosh": lambda x: jnp.arccosh(1 + x),
    "acos": jnp.arccos,
    "asin": jnp.arcsin,
    "asinh": jnp.arcsinh,
    "atan": jnp.arctan,
    "atanh": jnp.arctanh,
    "cbrt": jnp.cbrt,
    "ceil": lambda x: jnp.ceil(3 * x),
    "convert_element_type": lambda x: (10 * x).astype(jnp.int32),
    "copy": jnp.copy,
    "cos": jnp.cos,
    "cosh": jnp.cosh,
    "erf": lax.erf,
    "exp": jnp.exp,
    "exp2": jnp.exp2,
    "expm1": jnp.expm1,
    "floor": lambda x: jnp.floor(3 * x),
    "integer_pow": lambda x: lax.integer_pow(x, 3),
    "is_finite": lambda x: jnp.isfinite(x / jnp.where(x > 0.5, 0.0, 1.0)),
    "log": jnp.log,
    "log1p": jnp.log1p,
    "logistic": jax.nn.sigmoid,
    "neg": jnp.negative,
    "not": lambda x: ~(x > 0.5),
    "reduce_precision": lambda x: lax.reduce_precision(x, 5, 10),
    "round": lambda x: lax.round(9 * x),
    "rsqrt": lax.rsqrt,
    "sign": lambda x: jnp.sign(x - 0.5),
    "sin": jnp.sin,
    "sinh": jnp.sinh,
    "sqrt": jnp.sqrt,
    "square": jnp.square,
    "tan": jnp.tan,
    "tanh": jnp.tanh,
    "argmax": lambda x: jnp.argmax(x, axis=1),
    "argmin": lambda x: jnp.argmin(x, axis=0),
    "cumlogsumexp": lambda x: lax.cumlogsumexp(x, axis=1),
    "cummax": lambda x: lax.cummax(x, axis=0),
    "cummin": lambda x: lax.cummin(x, axis=1, reverse=True),
    "cumprod": lambda x: lax.cumprod(x, axis=0),
    "cumsum": lambda x: jnp.cumsum(x, axis=1),
    "reduce_and": lambda x: jnp.all(x > 0.2, axis=0),
    "reduce_max": lambda x: jnp.max(x, axis=1),
    "reduce_min": jnp.min,
    "reduce_or": lambda x: jnp.any(x > 0.8, axis=1),
    "reduce_prod": lambda x: jnp.prod(x, axis=0),
    "reduce_sum": lambda x: jnp.sum(x, axis=(0, 1)),
    "rev": lambda x: x[::-1, ::-1],
    "squeeze": lambda x: jnp.squeeze(x[:, :1], 1),
    "broadcast_in_dim": lambda x: jnp.broadcast_to(x[:, None], (4, 2, 3)),
    "reshape": lambda x: x.reshape(2, 6),
    "transpose": lambda x: x.T,
    "slice": lambda x: (x[1:3], x[::2, 1:], lax.slice(x, (1, 0), (4, 3), (2, 1))),
    "pad": lambda x: jnp.pad(x, ((1, 2), (0, 1)), constant_values=7.0),
    "tile": lambda x: jnp.tile(x, (2, 1)),
}

BINARY = {
    "add": jnp.add,
    "and": lambda x, y: (x > 0.5) & (y > 0.5),
    "atan2": lambda x, y: jnp.arctan2(x - 0.5, y - 0.5),
    "clamp": lambda x, y: (lax.clamp(0.3, x, 0.6), lax.clamp(0.3 * y, x, y)),
    "div": jnp.divide,
    "eq": lambda x, y: jnp.round(2 * x) == jnp.round(2 * y),
    "ge": jnp.greater_equal,
    "gt": jnp.greater,
    "le": jnp.less_equal,
    "lt": jnp.less,
    "max": jnp.maximum,
    "min": jnp.minimum,
    "mul": lambda x, y: (x * y, 3 * x, x * TABLE, x[:, :1] * y, x[0, 0] * TABLE),
    "ne": lambda x, y: jnp.round(2 * x) != jnp.round(2 * y),
    "nextafter": jnp.nextafter,
    "or": lambda x, y: (x > 0.5) | (y > 0.5),
    "pow": jnp.power,
    "rem": lambda x, y: lax.rem(x, y - 0.5),
    "select_n": lambda x, y: (
        jnp.where(x > y, x, 0.0),
        jnp.where(x[0, 0] > 0.5, x, y),
        jnp.where(TABLE > 5, x, y),
    ),
    "sub": jnp.subtract,
    "xor": lambda x, y: (x > 0.5) ^ (y > 0.5),
    "concatenate": lambda x, y: (jnp.concatenate([x, TABLE, y]), jnp.stack([x, y], axis=1)),
    "dot_general": lambda x, y: (
        x @ y.T,
        x.T @ y,
        x @ TABLE.T,
        jnp.vdot(x, y),
        lax.dot_general(
            x, (9 * y).astype(jnp.int32), (((1,), (1,)), ((0,), (0,))), preferred_element_type=jnp.float32
        ),
        jnp.matmul(x.astype(jnp.bfloat16), y.T.astype(jnp.bfloat16), preferred_element_type=jnp.float32),
        jnp.einsum("ij,ij->i", x, y),
        jnp.einsum("ij,ik->ijk", x, y),
        jnp.tile(x, (1, 9)) @ jnp.tile(y, (1, 9)).T,
    ),
    "gather": lambda x, y: (
        x[np.array([0, 0, 3, 1, 2])],
        x[np.array([[0, 1], [-1, 2]])],
        x[:, np.array([2, 0, 1])],
        x[2],
        y[-1, 1],
    ),
    "scatter": lambda x, y: (
        x.at[np.array([0, 2])].set(y[:2]),
        x.at[:, 1].set(y[:, 0]),
        TABLE.at[np.array([1, 2])].set(x[:2]),
        x.at[np.array([3, 9])].set(7.0, mode="drop"),
    ),
    "scatter-add": lambda x, y: (
        x.at[np.array([0, 0, 3])].add(y[:3]),
        jax.ops.segment_sum(x, np.array([2, 0, 2, 1]), 3),
        x.at[:, np.array([1, 1])].add(y[:, :2]),
    ),
}

LEFT_TO_VMAP = {
    "two axes at once": lambda x, y: x[np.array([0, 1]), np.array([2, 0])],
    "an index of each environment": lambda x, y: x[jnp.argmax(y[:, 0])],
    "rows that are not there": lambda x, y: x[np.array([0, 9])],
    "rows in an order of each": lambda x, y: jnp.take_along_axis(x, jnp.argsort(y, axis=0), axis=0),
    "set the last instead": lambda x, y: x.at[np.array([3, 9])].add(7.0, mode="clip"),
    "set where each wants": lambda x, y: x.at[jnp.argmax(y[:, 0])].set(7.0),
    "set a window": lambda x, y: x.at[1:3, 0].set(5.0),
    "apply a function": lambda x, y: x.at[np.array([0, 2])].apply(jnp.sin),
    "add at points": lambda x, y: x.at[np.array([0, 1]), np.array([2, 0])].add(1.0),
    "another order of axes": lambda x, y: lax.reshape(x, (12,), dimensions=(1, 0)),
    "products of whole numbers": lambda x, y: (9 * x).astype(jnp.int8) @ (9 * y).T.astype(jnp.int8),
    "products of nothing": lambda x, y: x[:, :0] @ y[:, :0].T,
    "padding of each": lambda x, y: lax.pad(x, y[0, 0], ((0, 1, 0), (1, 0, 0))),
}


def test_no_rule_is_without_a_case():
    assert set(rules.RULES) == set(UNARY) | set(BINARY)


def names(program: Any) -> set[str]:
    found = set()
    for equation in program.eqns:
        found.add(equation.primitive.name)
        for parameter in equation.params.values():
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns"):
                found |= names(inner)
    return found


@pytest.fixture
def left_to_vmap(monkeypatch) -> list[str]:
    """Operations that no rule has taken."""
    operations, by_vmap = [], interpreter._by_vmap

    def noted(equation: Any, *rest: Any) -> Any:
        operations.append(equation.primitive.name)
        return by_vmap(equation, *rest)

    monkeypatch.setattr(interpreter, "_by_vmap", noted)
    return operations


def test_operations_are_vmaps_and_not_left_to_it(left_to_vmap):
    cases = {}
    for name in sorted(rules.RULES):
        function = UNARY.get(name) or BINARY[name]
        arguments = lanes_of((4, 3), (4, 3)) if name in BINARY else lanes_of((4, 3))
        assert name in names(jax.make_jaxpr(function)(*(x[..., 0] for x in arguments)).jaxpr)
        cases[name] = function, tuple(arguments)
    assert_as_vmap(cases)
    assert left_to_vmap == []


def test_what_no_rule_covers_is_vmaps(left_to_vmap):
    arguments = tuple(lanes_of((4, 3), (4, 3)))
    assert_as_vmap({name: (function, arguments) for name, function in LEFT_TO_VMAP.items()})
    assert left_to_vmap


def test_batches_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"one batch size .* not \[4, 5\]"):
        in_lanes(lambda x, y: (x, y))(jnp.zeros((3, 5)), jnp.zeros((3, 4)))


CONTROL_FLOW = {
    "fori": lambda x: lax.fori_loop(0, 3, lambda i, c: (c[0] + i * x, c[1] + 1), (jnp.zeros(4), 0)),
    "scan": lambda x: lax.scan(lambda c, row: (c + row @ row, c * row), 1.0, jnp.stack([x, 2 * x])),
    "scan backwards": lambda x: lax.scan(lambda c, row: (c + row @ x, x[0]), 1.0, TABLE.T, reverse=True),
    "cond": lambda x: lax.cond(x[0] > 0.5, jnp.sin, jnp.cos, x),
    "switch": lambda x: lax.switch(
        (4 * x[0]).astype(jnp.int32), [jnp.sin, jnp.cos, lambda x: x, lambda x: 0 * x], x
    ),
    "cond of a constant": lambda x: lax.cond(jnp.arange(3)[1] > 0, jnp.sin, jnp.cos, x),
    "while": lambda x: lax.while_loop(lambda c: c[0] < 1, lambda c: c + x, x),
    "cholesky": lambda x: jnp.linalg.cholesky(jnp.eye(4) + jnp.outer(x, x)),
    "sort": jnp.sort,
    "functions within functions": lambda x: jax.nn.softplus(jax.nn.relu(x)),
    "checkpoint": jax.checkpoint(jnp.sin),
    "platform": lambda x: lax.platform_dependent(x, default=jnp.sin),
    "constants": lambda x: (TABLE, 3, x),
}


def test_control_flow_and_what_has_no_rule():
    arguments = tuple(lanes_of((4,)))
    assert_as_vmap({name: (function, arguments) for name, function in CONTROL_FLOW.items()})


def test_a_branch_that_is_known_only_when_running():
    def function(index: jax.Array, x: jax.Array) -> Any:
        return in_lanes(lambda x: lax.switch(index, [jnp.sin, lambda x: x + TABLE[index, 0]], x))(x)

    (x,) = lanes_of((4,))
    np.testing.assert_allclose(jax.jit(function)(0, x), jnp.sin(x), rtol=1e-6)
    np.testing.assert_allclose(jax.jit(function)(1, x), x + 3, rtol=1e-6)


ROWS = st.tuples(
    st.lists(st.integers(-9, 9) | st.integers(-4, 3), min_size=1, max_size=7),
    st.integers(0, 1),
    st.sampled_from(["clip", "promise_in_bounds", "fill", None]),
)


@settings(max_examples=3, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(ROWS, min_size=20, max_size=20, unique_by=repr))
def test_rows_in_any_order(drawn):
    """Twenty draws to a program."""
    (x,) = lanes_of((4, 4))

    def function_of(rows: list[int], axis: int, mode: str | None) -> Any:
        where = np.array(rows) % 4 if mode == "promise_in_bounds" else np.array(rows)
        index = (where,) if axis == 0 else (slice(None), where)

        def function(x: jax.Array) -> Any:
            taken = x.at[index].get(mode=mode)
            return taken, x.at[index].add(2 * jnp.nan_to_num(taken), mode=mode)

        return function

    assert_as_vmap({repr(draw): (function_of(*draw), (x,)) for draw in drawn})


@pytest.mark.parametrize("name", sorted(constants.BY_NUMPY))
def test_whole_numbers_that_are_known_are_xlas(name):
    a, b = np.array([[3, -7, 5], [0, 2, -1]], np.int32), np.array([[2, 2, -3], [4, 2, 3]], np.int32)
    cases = {
        "select_n": lambda: jnp.where(a > b, a, b),
        "convert_element_type": lambda: ((a > b).astype(np.int32), lax.convert_element_type(a, bool)),
        "broadcast_in_dim": lambda: jnp.broadcast_to(a[:, None], (2, 4, 3)),
        "squeeze": lambda: lax.squeeze(a[:, :1], (1,)),
        "concatenate": lambda: jnp.concatenate([a, b], 1),
        "slice": lambda: lax.slice(a, (0, 1), (2, 3), (1, 2)),
        "iota": lambda: lax.broadcasted_iota(np.int32, (2, 3), 1),
        "and": lambda: (lax.bitwise_and(a, b), lax.bitwise_and(a > b, a > 0)),
        "or": lambda: (lax.bitwise_or(a, b), lax.bitwise_or(a > b, a > 0)),
        "sign": lambda: lax.sign(a),
    }
    case = cases.get(name) or (lambda: getattr(lax, name)(a, b))
    program = jax.make_jaxpr(case)()
    expected = jax.core.eval_jaxpr(program.jaxpr, program.consts)
    found = interpreter._evaluate(program, [], BATCH)
    assert name in names(program.jaxpr)
    for one, other in zip(found, expected, strict=True):
        assert isinstance(one, np.ndarray), "left to XLA"
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


PARAMETERS = {"tla": {"leg_penalty": 1.0}}


def shaped(env: Any) -> Any:
    states = jax.eval_shape(jax.vmap(env.reset, out_axes=-1), jax.random.split(jax.random.PRNGKey(0), BATCH))
    return states, jax.ShapeDtypeStruct((env.action_size, BATCH), jnp.float32)


@pytest.mark.parametrize("task", ["tla", "hopper", "halfcheetah"])
def test_spring_physics_is_whole_vectors_throughout(task, left_to_vmap):
    env = physics.make(task, "spring", **PARAMETERS.get(task, {}))
    jax.eval_shape(physics.step_all(env), *shaped(env))
    assert left_to_vmap == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "backend"), [("tla", "spring"), ("hopper", "positional"), ("inverted_pendulum", "generalized")]
)
def test_physics_is_the_same(task, backend, workspace):
    env = physics.make(task, backend, **PARAMETERS.get(task, {}))
    reset = jax.jit(jax.vmap(env.reset, out_axes=-1), compiler_options=xla.ONCE)
    state = reset(jax.random.split(jax.random.PRNGKey(0), BATCH))
    actions = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (3, env.action_size, BATCH)), jnp.float32)

    @functools.partial(jax.jit, compiler_options=xla.ONCE)
    def both(state: Any, action: jax.Array) -> tuple[Any, Any]:
        return in_lanes(env.step)(state, action), jax.vmap(env.step, in_axes=-1, out_axes=-1)(state, action)

    for action in actions:
        state, expected = both(state, action)
        for one, other in (
            (state.obs, expected.obs),
            (state.reward, expected.reward),
            (state.done, expected.done),
        ):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)
