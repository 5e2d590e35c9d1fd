"""What the components are for."""

import numpy as np
from mpobench_example.corruption import LazyJudge
from mpobench_example.env import AGENTS, Arms
from mpobench_example.evaluator import Payoff
from mpobench_example.objective import Logistic

from mpobench import (
    DatasetCorruption,
    DatasetRequest,
    PreferenceBatch,
    SequenceLogps,
    TrainingRequest,
    Workspace,
)


def test_logistic_loss_falls_with_the_margin() -> None:
    length = np.array([1.0, 2.0, 2.0])
    batch = PreferenceBatch(
        SequenceLogps(np.array([-3.0, -2.0, -2.0]), length),
        SequenceLogps(np.array([-1.0, -2.0, -6.0]), length),
    )
    loss = Logistic(beta=1.5).loss(batch)
    np.testing.assert_allclose(loss, np.log1p(np.exp(-1.5 * np.array([-2.0, 0.0, 2.0]))))


def test_a_lazy_judge_is_a_mixture_of_a_coin_and_the_true_judge() -> None:
    returns = np.array([[100.0, 0.0], [0.0, 100.0], [5.0, 5.0]])
    np.testing.assert_allclose(LazyJudge(rate=0.2).preference(returns), [0.9, 0.1, 0.5])
    np.testing.assert_allclose(LazyJudge(rate=0).preference(returns), [1.0, 0.0, 0.5], atol=1e-12)


def test_a_policy_learns_which_arm_pays(tmp_path) -> None:  # type: ignore[no-untyped-def]
    request = TrainingRequest(
        DatasetRequest(DatasetCorruption(), 0, "quick", "key"), "logistic", Logistic(), 0
    )
    trained, workspace = Arms().train(request, Workspace(tmp_path)), Workspace(tmp_path)
    assert trained.curves["loss"][-1] < trained.curves["loss"][0]
    scores = [
        Payoff().evaluate(Arms(), policy, 0, "quick", workspace) for policy in (AGENTS[0], trained.policy)
    ]
    assert scores[0]["normalised_score"] == 0
    assert scores[1]["normalised_score"] > 50
