"""The Three-Legged Ant against brax's Ant and its XML."""

from __future__ import annotations

import functools
from pathlib import Path

import brax
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mpobench_mujoco import physics, xla

PENALTY = 3.5


@pytest.fixture(scope="module")
def joints() -> list[str]:
    """The hinge joint that each actuator of brax's ant.xml drives."""
    model = mujoco.MjModel.from_xml_path(str(Path(brax.__file__).parent / "envs/assets/ant.xml"))
    return [model.joint(joint).name for joint, _ in model.actuator_trnid]


def test_the_fourth_leg_is_the_xmls(joints):
    assert {joints[index] for index in physics.FOURTH_LEG} == {"hip_4", "ankle_4"}


@pytest.mark.slow
def test_what_the_penalty_costs_and_which_joints_it_is_on(joints, workspace):
    ant, tla = physics.make("ant", "spring"), physics.make("tla", "spring", leg_penalty=PENALTY)
    hinges = ["hip_1", "ankle_1", "hip_2", "ankle_2", "hip_3", "ankle_3", "hip_4", "ankle_4"]

    @functools.partial(jax.jit, compiler_options=xla.ONCE)
    def try_out(actions: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        def both(action: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
            start = ant.reset(jax.random.PRNGKey(0))
            plain, penalised = ant.step(start, action), tla.step(start, action)
            return plain.reward, penalised.reward, penalised.pipeline_state.qd[6:], plain.obs - penalised.obs

        return jax.vmap(both)(actions)

    random = np.random.default_rng(0).uniform(-1, 1, (7, 8))
    actions = np.concatenate([np.zeros((1, 8)), 0.1 * np.eye(8), random]).astype(np.float32)
    plain, penalised, speeds, difference = try_out(actions)
    expected = PENALTY * np.square(actions[:, [joints.index("hip_4"), joints.index("ankle_4")]]).sum(axis=1)
    np.testing.assert_allclose(plain - penalised, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(difference, jnp.zeros_like(difference))
    # In motion, too, each actuator moves the joint that the XML says.
    moved = [hinges[index] for index in np.argmax(np.abs(speeds[1:9] - speeds[0]), axis=1)]
    assert moved == joints


def test_environments_are_made_once():
    assert physics.make("tla", "spring", leg_penalty=PENALTY) is physics.make(
        "tla", "spring", leg_penalty=PENALTY
    )
    assert physics.make("tla", "spring", leg_penalty=PENALTY) is not physics.make(
        "tla", "spring", leg_penalty=PENALTY + 1
    )
