"""The brax environments behind the tasks.

Those of `brax <https://github.com/google/brax>`_ (Freeman et al., 2021), and the Three-Legged Ant of §4.1.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import mujoco

from mpobench_mujoco.quiet import quiet_imports

with quiet_imports():
    from brax.envs import get_environment
    from brax.envs.ant import Ant
    from brax.envs.base import PipelineEnv, State

from mpobench_mujoco.lanes import in_lanes

FOURTH_LEG = (0, 1)
"""Actuators hip_4 and ankle_4. The XML lists leg 4's motors first, whatever brax's docstring says."""


class ThreeLeggedAnt(Ant):
    """Brax's Ant, which loses ``leg_penalty`` · (a_hip² + a_ankle²) a step for using its fourth leg.

    Args:
        leg_penalty: Coefficient of the penalty, in reward per squared action.
        backend: Physics backend of brax.
        parameters: Parameters of brax's Ant, such as ``healthy_reward``.
    """

    def __init__(self, leg_penalty: float, backend: str, **parameters: float) -> None:
        super().__init__(backend=backend, **parameters)
        self._leg_penalty = leg_penalty

    def step(self, state: State, action: jax.Array) -> State:
        """One control step; the penalty is on the action as executed."""
        state = super().step(state, action)
        effort = jnp.sum(jnp.square(action[jnp.array(FOURTH_LEG)]))
        return state.replace(reward=state.reward - self._leg_penalty * effort)


OWN_TASKS: dict[str, Callable[..., PipelineEnv]] = {"tla": ThreeLeggedAnt}
"""Tasks that brax lacks, by name: functions of ``backend`` and of the task's parameters."""


@functools.cache
def make(task: str, backend: str, **parameters: float) -> PipelineEnv:
    """The brax environment of a task.

    Args:
        task: Name in :data:`OWN_TASKS`, or in brax: ``ant``, ``hopper``, ``halfcheetah``.
        backend: ``spring``, ``generalized``, ``positional`` or ``mjx``.
        parameters: Parameters of the task, such as the Three-Legged Ant's ``leg_penalty``.
    """
    build = OWN_TASKS.get(task) or functools.partial(get_environment, task)
    with _hushed():
        return build(backend=backend, **parameters)


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Silences brax, which announces MJX at every load, and MuJoCo, which warns of old XML in a log file."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda _: None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        mujoco.set_mju_user_warning(before)


IN_LANES = ("spring", "positional")
"""Backends that compute with small vectors. The others solve dense systems of equations, whose matrices ``jax.vmap``
hands to a library one by one: there it is faster."""


def batch_axis(env: PipelineEnv) -> int:
    """The axis of the batch in the arrays of a state of many environments: the last, or the first."""
    return -1 if env.backend in IN_LANES else 0


def step_all(env: PipelineEnv) -> Callable[[State, jax.Array], State]:
    """A function that steps many environments once; states and actions have their batch in :func:`batch_axis`."""
    if batch_axis(env) == -1:
        return in_lanes(env.step)
    batched: Callable[[State, jax.Array], State] = jax.vmap(env.step)
    return batched
