"""The corruption keeps its promises, and has the statistics that its docstring states."""

import numpy as np
from mpobench_example.corruption import LazyJudge

from mpobench.testing import check_corruption


def test_promises() -> None:
    check_corruption("lazy-judge")


def test_the_judge_is_a_mixture_of_a_coin_and_the_true_judge() -> None:
    returns = np.array([[100.0, 0.0], [0.0, 100.0], [5.0, 5.0]])
    np.testing.assert_allclose(LazyJudge(rate=0.2).preference(returns), [0.9, 0.1, 0.5])
    np.testing.assert_allclose(LazyJudge(rate=0).preference(returns), [1.0, 0.0, 0.5], atol=1e-12)
