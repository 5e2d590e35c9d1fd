"""The environment keeps its promises, and there is something to learn in it."""

from pathlib import Path

import numpy as np
from mpobench_example.env import AGENTS, PAYOFFS, Arms, log_softmax

from mpobench import DatasetCorruption, DatasetRequest, TrainingRequest, Workspace, objective
from mpobench.testing import check_env


def test_promises() -> None:
    check_env("arms")


def test_a_policy_learns_which_arm_pays(tmp_path: Path) -> None:
    dataset = DatasetRequest(DatasetCorruption(), 0, "quick", "key")
    trained = Arms().train(TrainingRequest(dataset, "sft", objective("sft"), 0), Workspace(tmp_path))
    assert trained.curves["loss"][-1] < trained.curves["loss"][0]
    original, policy = np.exp(log_softmax(np.vstack([AGENTS[0], trained.policy]))) @ PAYOFFS
    assert policy > original
