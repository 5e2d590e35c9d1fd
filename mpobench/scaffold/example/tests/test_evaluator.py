"""The evaluator keeps its promises, and its score lies between those of the two agents."""

from pathlib import Path

import pytest
from mpobench_example.env import AGENTS, Arms
from mpobench_example.evaluator import Payoff

from mpobench import Workspace
from mpobench.testing import check_evaluator


def test_promises() -> None:
    check_evaluator("payoff", "arms")


def test_the_agents_are_0_and_100(tmp_path: Path) -> None:
    scores = [Payoff().evaluate(Arms(), agent, 0, "smoke", Workspace(tmp_path)) for agent in AGENTS]
    assert [score["normalised_score"] for score in scores] == pytest.approx([0, 100])
