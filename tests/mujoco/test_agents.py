"""The shipped agents: their files, their cards, the levels that these state."""

from __future__ import annotations

import hashlib
import json
import shutil

import in_process
import numpy as np
import pytest
from mujoco_samples import request

from mpobench import DatasetRequest, RequestError
from mpobench_mujoco import agent_measuring, agents, data, physics, policy, rollouts

CHECK = 17
"""Purpose of start states that nothing else begins in."""

every_role = pytest.mark.parametrize("role", agents.ROLES)


@every_role
def test_the_file_is_the_one_that_the_card_describes(every_env, role):
    file, card = every_env.agent(role)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == card.sha256
    assert (card.role, card.backend) == (role, every_env.backend)


@every_role
def test_the_card_says_what_the_environments_file_says(every_env, role):
    _, card = every_env.agent(role)
    assert card.recipe == every_env.settings.agents[role]
    assert card.action_std == every_env.settings.task.action_std
    assert card.parameters == every_env.settings.task.parameters
    assert card.command == f"mpobench agents train {every_env.name} {role}"
    assert [level.task for level in card.levels] == list(every_env.settings.levels)


@every_role
def test_an_agent_is_a_policy_of_the_benchmark(every_env, role):
    acting, shapes = data.agent_policy(every_env, role), {}
    body = data.brax_env(every_env)
    for name, value in acting.items():
        assert value.dtype == np.float32
        assert np.isfinite(value).all()
        shapes[name] = value.shape
    assert shapes == {
        "obs_mean": (body.observation_size,),
        "obs_std": (body.observation_size,),
        "w1": (64, body.observation_size),
        "b1": (64, 1),
        "w2": (64, 64),
        "b2": (64, 1),
        "w3": (body.action_size, 64),
        "b3": (body.action_size, 1),
    }
    assert (acting["obs_std"] > 0).all()
    assert policy.weights_of(acting).keys() == shapes.keys() - set(policy.STATISTICS)


def test_the_agents_lie_apart(every_env):
    task = every_env.settings.levels[0]
    original, target = (every_env.agent(role)[1].level(task) for role in agents.ROLES)
    assert target.mean - original.mean > 10 * np.hypot(target.stderr, original.stderr)


@every_role
def test_the_levels_are_those_that_the_recipes_aim_at(every_env, role):
    card = every_env.agent(role)[1]
    measured = card.level(card.recipe.task)
    assert abs(measured.mean - card.recipe.level) < 0.05 * card.recipe.level
    assert measured.stderr < 0.05 * card.recipe.level


def test_the_levels_of_tla_have_the_papers_ratios(tla):
    """§4.1: the original agent has 6000 on ant and 1700 on tla, the target agent 3900 on tla."""
    original, target = (tla.agent(role)[1] for role in agents.ROLES)
    papers = {"ant": 6000 / 3900, "tla": 1700 / 3900}
    for task, ratio in papers.items():
        assert abs(original.level(task).mean / target.level("tla").mean / ratio - 1) < 0.05


def test_the_levels_of_hopper_are_the_papers(registry):
    """§I.3: the bad agent has 900, the expert 2100."""
    hopper = registry.build("env", "hopper").component
    for role, level in zip(agents.ROLES, (900, 2100), strict=True):
        assert abs(hopper.agent(role)[1].level("hopper").mean / level - 1) < 0.05


def test_agents_do_not_fall_and_the_target_wins(every_env):
    """Else clean data are not clean: a fallen target agent loses its comparison."""
    measured = agents.find_pair_facts(every_env.agent("target")[0].parent)
    assert measured is not None, "of these very agents"
    assert measured.pairs >= 1280
    assert measured.facts["reversed pairs (the original agent earns more), %"] <= 1
    assert measured.facts["episodes that ended early, %"] <= 5
    for role in agents.ROLES:
        assert all(level.full_length >= 0.95 for level in every_env.agent(role)[1].levels)


def test_what_was_measured_of_other_agents_data_does_not_count(shipped):
    assert agents.find_pair_facts(shipped) is not None
    weights = shipped / "target.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    assert agents.find_pair_facts(shipped) is None
    (shipped / "pairs.json").unlink()
    assert agents.find_pair_facts(shipped) is None


@pytest.mark.slow
def test_the_stated_level_is_reproduced(every_env, workspace):
    settings, episodes = every_env.settings.task, 64
    for task in every_env.settings.levels:
        simulated = physics.make(task, every_env.backend, **settings.parameters_of(task))
        for role in agents.ROLES:
            stated = every_env.agent(role)[1].level(task)
            keys = rollouts.episode_keys(CHECK, 0, episodes, stream=0)
            returns = rollouts.roll_out(
                simulated, data.agent_policy(every_env, role), settings.action_std, settings.steps, *keys
            ).returns
            # Of so few episodes too, from the card: rare falls, which cost thousands, may be missing among them.
            stderr = stated.stderr * np.sqrt(1 + stated.episodes / episodes)
            assert abs(returns.mean() - stated.mean) < 4 * stderr, (task, role)


@pytest.mark.parametrize("name", ["tla", "hopper"])
@every_role
def test_agents_that_learn_their_noise_begin_with_the_others(registry, name, role):
    learned = registry.build("env", f"{name}:std=learned").component
    fixed = registry.build("env", name).component
    file, card = learned.agent(role)
    assert card.recipe == learned.settings.learned_std_agents[role]
    assert card.command == f"mpobench agents train {name}:std=learned {role}"
    assert abs(card.level(card.recipe.task).mean / card.recipe.level - 1) < 0.05
    acting, other = policy.load(file), data.agent_policy(fixed, role)
    stds = np.exp(acting.pop("log_std"))
    assert stds.shape == acting["b3"].shape
    assert (stds > policy.LEAST_STD).all()
    assert {name: value.shape for name, value in acting.items()} == {
        name: value.shape for name, value in other.items()
    }
    for statistics in ("obs_mean", "obs_std"):
        np.testing.assert_allclose(acting[statistics], other[statistics], rtol=0.5, atol=0.5)


@pytest.fixture
def shipped(tmp_path, tla, monkeypatch):
    """A copy of the shipped agents that a test may damage."""
    copy = tmp_path / "agents" / tla.agents_name
    shutil.copytree(agents.shipped(tla.agents_name), copy)
    monkeypatch.setattr(agents, "TRAINED", tmp_path / "own")
    monkeypatch.setattr(agents, "shipped", lambda name: tmp_path / "agents" / name)
    agents.find.cache_clear()
    yield copy
    agents.find.cache_clear()


def test_another_file_under_the_cards_name_is_refused(shipped, tla):
    weights = shipped / "target.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    tla.agent("original")
    with pytest.raises(RequestError, match=r"not the agent that target\.json describes"):
        tla.agent("target")


@pytest.mark.parametrize("missing", ["original.json", "original.safetensors"])
def test_half_an_agent_is_none(shipped, tla, missing):
    (shipped / missing).unlink()
    with pytest.raises(RequestError, match="has no original agent"):
        tla.agent("original")


def test_agents_of_another_backend_are_the_users_own(shipped, tla):
    mjx = tla.model_copy(update={"backend": "mjx"})
    with pytest.raises(RequestError, match="train it with: mpobench agents train tla:mjx target"):
        mjx.agent("target")
    shutil.copytree(shipped, agents.trained("tla-mjx"))
    file, card = mjx.agent("target")
    assert file == agents.TRAINED / "tla-mjx" / "target.safetensors"
    assert card == tla.agent("target")[1]


@pytest.mark.slow
def test_what_is_measured_is_written_beside_the_agents(shipped, tla, workspace, monkeypatch):
    pairs, episodes = tla.dataset_settings("paper").pairs, 64
    monkeypatch.setattr(agent_measuring, "MEASURED_PAIRS", pairs)
    monkeypatch.setattr(agent_measuring, "CARD_EPISODES", episodes)
    (shipped / "pairs.json").unlink()
    measured = agent_measuring.measure(tla, workspace)
    assert agents.find_pair_facts(shipped) == measured
    assert measured.pairs == pairs
    clean = DatasetRequest(request(tla).dataset.corruption, 0, "paper", key="")
    assert measured.facts == data.load_dataset(tla, clean, workspace).facts
    agents.find.cache_clear()
    for role in agents.ROLES:
        levels = tla.agent(role)[1].levels
        assert [level.task for level in levels] == list(tla.settings.levels)
        assert {level.episodes for level in levels} == {episodes}


def test_show_states_levels_and_how_they_were_made(tla):
    run = in_process.invoke("agents", "show", "tla")
    assert (run.returncode, run.stderr) == (0, "")
    for role in agents.ROLES:
        file, card = tla.agent(role)
        assert f"{role}  ({file})" in run.stdout
        assert card.command in run.stdout
        for level in card.levels:
            assert (
                f"{level.task}: {level.mean:.0f} ± {level.stderr:.0f}, {level.episodes} episodes, "
                f"{level.full_length:.1%} of full length"
            ) in run.stdout
    for name in agents.find_pair_facts(file.parent).facts:
        assert f"  {name}: " in run.stdout


def test_show_of_a_backend_without_agents_says_how_to_train_them():
    run = in_process.invoke("agents", "show", "tla:positional")
    assert (run.returncode, run.stdout) == (2, "")
    assert len(run.stderr.strip().splitlines()) == 1
    assert "mpobench agents train tla:positional original" in run.stderr


def test_a_card_is_plain_json(tla):
    file = agents.shipped(tla.agents_name) / "target.json"
    card = agents.AgentCard.model_validate_json(file.read_bytes())
    assert json.loads(file.read_text()) == json.loads(card.model_dump_json())
