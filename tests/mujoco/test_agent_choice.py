"""Which checkpoint of a training becomes the agent."""

from __future__ import annotations

import pytest

from mpobench_mujoco import agent_training
from mpobench_mujoco.agents import Level

SCREENED = {10: 300.0, 20: 905.0, 30: 880.0, 40: 940.0, 50: 850.0, 60: 960.0, 70: 2000.0, 80: 900.0}
TRUE = {10: 300.0, 20: 700.0, 30: 890.0, 40: 990.0, 50: 800.0, 60: 1100.0, 70: 900.0, 80: 900.0}
FALLING = {80}
"""At the very level, but on its way to the ground."""


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Checkpoints whose levels are invented, and a list of what was measured."""
    calls = []

    def level(env, task, agent, episodes):
        calls.append((agent, episodes))
        levels = SCREENED if episodes == agent_training.SCREENING_EPISODES else TRUE
        full = 0.9 if agent in FALLING else 1.0
        return Level(task=task, mean=levels[agent], stderr=1.0, full_length=full, episodes=episodes)

    monkeypatch.setattr(agent_training, "level", level)
    monkeypatch.setattr(agent_training.checkpoint, "load", lambda file: int(file.stem))
    monkeypatch.setattr(agent_training.ppo, "to_policy", lambda params: params)
    for steps in SCREENED:
        (tmp_path / f"{steps:010d}.safetensors").touch()
    return calls


def test_few_episodes_screen_and_many_decide(tla, tmp_path, measured):
    said = []
    assert agent_training._nearest(tla, "hopper", 900, tmp_path, said.append) == 30
    screening, finals = measured[: len(SCREENED)], measured[len(SCREENED) :]
    assert [steps for steps, _ in screening] == sorted(SCREENED)
    assert finals == [(steps, agent_training.CARD_EPISODES) for steps in (20, 30, 40, 50, 60)]
    assert len(said) == len(measured)
