"""From real rollouts through a training to a score, at the smallest scale."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from mujoco_samples import random_policy, request

from mpobench.protocols import NORMALISED_SCORE
from mpobench.registry.registry import get_registry
from mpobench_mujoco import agents, data, policy, rollouts

EPISODES = 8


@pytest.fixture(scope="module")
def evaluator():
    return get_registry().build("evaluator", "return").component


@pytest.mark.slow
def test_rollouts_training_and_score(tla, workspace, evaluator):
    wanted = request(tla, "dpo", "noisy:0.3")
    for each in tla.prerequisites(wanted):
        tla.prepare(each.payload, workspace)
        assert (workspace.cache / each.path).exists()
    trained = tla.train(wanted, workspace)
    score = evaluator.evaluate(tla, trained.policy, 0, "smoke", workspace)
    assert score.keys() == {metric.name for metric in evaluator.metrics}
    scores = tla.scores(trained.policy, 0, tla.evaluation_settings("smoke"), workspace)
    assert {values.shape for values in vars(scores).values()} == {(EPISODES,)}
    assert score["return"] == scores.returns.mean()
    assert score["return-1000"] == scores.returns_with_resets.mean()
    assert score["length"] == scores.lengths.mean()
    assert score["kl"] == scores.divergences.sum() / scores.lengths.sum() > 0
    original, target = (tla.agent(role)[1].level("tla").mean for role in agents.ROLES)
    share = (scores.returns.mean() - original) / (target - original)
    np.testing.assert_allclose(score[NORMALISED_SCORE], 100 * share)
    assert evaluator.config(tla, "smoke") == {"episodes": EPISODES, "original": original, "target": target}


def test_a_sample_is_the_same_of_as_many_episodes_as_one_asks_for(tla, evaluator):
    sample = get_registry().build("evaluator", "sampled-return:5").component
    assert sample.metrics == evaluator.metrics
    for scale in ("smoke", "quick", "paper"):
        assert sample.config(tla, scale) == {**evaluator.config(tla, scale), "episodes": 5}


def test_at_the_agents_noise_a_policy_keeps_its_mean_actions(registry, tla):
    learned = registry.build("env", "tla:std=learned").component
    quiet = {**random_policy(0), "log_std": np.full((8, 1), -3.0, np.float32)}
    changed = learned.at_target_std(quiet)
    np.testing.assert_array_equal(changed.pop("log_std"), data.agent_policy(learned, "target")["log_std"])
    assert all(changed[name] is quiet[name] for name in changed)
    np.testing.assert_allclose(learned.action_std(quiet), max(np.exp(-3.0), policy.LEAST_STD), rtol=1e-6)
    assert tla.action_std(random_policy(0)) == pytest.approx(tla.settings.task.action_std)
    at_agents = get_registry().build("evaluator", "return-at-agents-std").component
    assert at_agents.skip_reason(learned) is None
    assert "see return" in at_agents.skip_reason(tla)


def test_at_the_agents_noise_a_policy_that_equals_its_reference_has_not_diverged(registry, tla):
    learned = registry.build("env", "tla:std=learned").component
    quiet = {**random_policy(0), "log_std": np.full((8, 1), -3.0, np.float32)}
    weights = policy.weights_of(quiet)
    changed = learned.at_target_std(policy.with_reference(quiet, weights))
    observations = np.random.default_rng(0).standard_normal((weights["w1"].shape[1], 5), np.float32)
    divergence = policy.step_divergences(
        policy.weights_of(changed), policy.reference_of(changed), observations, tla.settings.task.action_std
    )
    np.testing.assert_array_equal(divergence, 0)


@pytest.mark.slow
def test_a_seed_decides_the_start_states_whatever_the_policy(tla, workspace, monkeypatch):
    blocks, roll_out = [], rollouts.roll_out

    def recorded(*args):
        blocks.append(roll_out(*args))
        return blocks[-1]

    monkeypatch.setattr(rollouts, "roll_out", recorded)
    for acting, seed in ((data.agent_policy(tla, "target"), 0), (random_policy(0), 0), (random_policy(0), 1)):
        tla.scores(acting, seed, tla.evaluation_settings("smoke"), workspace)
    agent, other, later = (block.observations[:, :, 0] for block in blocks)
    np.testing.assert_array_equal(agent, other)
    assert not np.isclose(agent[:, 0], later[:, 0]).any()
    keys = rollouts.episode_keys(rollouts.Purpose.DATA, 0, EPISODES, stream=0)
    training_starts = roll_out(
        data.brax_env(tla), random_policy(0), tla.settings.task.action_std, tla.settings.task.steps, *keys
    ).observations[:, :, 0]
    assert not np.isclose(agent[:, 0], training_starts[:, 0]).any(), "no score from a state of the data"


def test_an_environment_without_rollouts_is_refused(evaluator, toys):
    task = toys.build("env", "task").component
    assert "has no rollouts with a true return" in evaluator.skip_reason(task)


def test_nothing_is_printed_by_what_a_worker_imports():
    """Stdout carries the leaderboard; mujoco-mjx would print there that optional engines are missing."""
    run = subprocess.run(
        [sys.executable, "-c", "import mpobench_mujoco.training"], capture_output=True, text=True, check=True
    )
    assert run.stdout == ""
