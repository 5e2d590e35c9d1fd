"""The objective keeps its promises, and is what its docstring says."""

import numpy as np
from mpobench_example.objective import Logistic

from mpobench import PreferenceBatch, SequenceLogps
from mpobench.testing import check_objective


def test_promises() -> None:
    check_objective("logistic")


def test_the_loss_is_its_formula() -> None:
    length = np.array([1.0, 2.0, 2.0])
    batch = PreferenceBatch(
        SequenceLogps(np.array([-3.0, -2.0, -2.0]), length),
        SequenceLogps(np.array([-1.0, -2.0, -6.0]), length),
    )
    loss = Logistic(beta=1.5).loss(batch)
    np.testing.assert_allclose(loss, np.log1p(np.exp(-1.5 * np.array([-2.0, 0.0, 2.0]))))
