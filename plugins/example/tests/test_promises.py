"""Each component keeps the promises of its protocol: one line each."""

from mpobench.testing import check_corruption, check_env, check_evaluator, check_launcher, check_objective


def test_logistic() -> None:
    check_objective("logistic")


def test_lazy_judge() -> None:
    check_corruption("lazy-judge")


def test_arms() -> None:
    check_env("arms")


def test_payoff() -> None:
    check_evaluator("payoff", "arms")


def test_here() -> None:
    check_launcher("here")
