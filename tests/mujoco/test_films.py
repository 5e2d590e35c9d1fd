"""Films show the episodes that returns are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpobench import ORIGINAL, TARGET, Trained, Workspace
from mpobench.env_kit.films import Film, HasFilms
from mpobench.planning.env_plan import plan_training
from mpobench.registry.registry import Registry
from mpobench.running.films import films
from mpobench_mujoco import agents, data, filming, rollouts
from mpobench_mujoco.env import MujocoEnv

FILM = Film(
    shapes=(), links=("ball",), frame_seconds=0.1, positions=(((0.0, 0.0, 1.0),),),
    rotations=(((1.0, 0.0, 0.0, 0.0),),), earned=(0.0,), ended=False,
)  # fmt: skip


@pytest.mark.slow
def test_a_film_is_the_episode_that_is_scored(registry: Registry, workspace: Workspace) -> None:
    env = registry.build("env", "hopper").component
    assert isinstance(env, MujocoEnv)
    assert isinstance(env, HasFilms)
    brax = data.brax_env(env)
    keys = rollouts.episode_keys(rollouts.Purpose.EVALUATION, 3, 1, stream=0)
    for actor in (ORIGINAL, TARGET):
        policy = data.agent_policy(env, agents.ROLES[actor])
        steps = env.settings.task.steps
        whole = rollouts.roll_out(brax, policy, env.settings.task.action_std, steps, *keys)
        film = env.film(actor, 3, steps * brax.dt, workspace)
        positions = np.asarray(film.positions)
        assert positions.shape == (len(film.earned), len(film.links), 3)
        assert film.frame_seconds == pytest.approx(0.04)
        assert film.ended == (whole.lengths[0] < steps)
        assert film.earned[-1] == pytest.approx(whole.returns[0], rel=0.05)
        norms = np.linalg.norm(np.asarray(film.rotations), axis=-1)
        np.testing.assert_allclose(norms, 1, atol=1e-3)
        assert 0.5 < positions[0, 0, 2] < 1.6, "it stands"


def test_marked_links_are_there_and_coloured(tla: MujocoEnv) -> None:
    shapes = filming._shapes(data.brax_env(tla), tla.marked_links)
    marked = {shape.link for shape in shapes if shape.color == filming.MARK}
    assert len(marked) == 2
    assert {shape.kind for shape in shapes} == {"plane", "sphere", "capsule"}


def test_films_are_made_once_and_again_if_they_are_damaged(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def film(self: MujocoEnv, actor: object, *_: object) -> object:
        made.append(actor)
        return FILM

    monkeypatch.setattr(MujocoEnv, "film", film)
    monkeypatch.setattr("mpobench.running.films.prepare_and_train", lambda *_: Trained("policy", {}))
    training = plan_training(registry, "tla", "base", "sft", 0, "smoke")
    assert [name for name, _ in films(training, tmp_path)] == ["original agent", "target agent", "sft"]
    assert made == [ORIGINAL, TARGET, "policy"]
    assert [kept for _, kept in films(training, tmp_path)] == [FILM] * 3
    assert len(made) == 3
    next((tmp_path / "films").glob("*.json")).write_text("{")
    assert [kept for _, kept in films(training, tmp_path)] == [FILM] * 3
    assert len(made) == 4
