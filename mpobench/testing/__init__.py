"""Checks of the promises that components make, for the tests of any plugin: one line per component.

    from mpobench.testing import check_objective

    def test_my_loss() -> None:
        check_objective("my-loss")

A component is given by its registered name, by a spec or as an object. A check returns nothing, or raises an
``AssertionError`` with one sentence: what was expected, what came, what to do. No check needs pytest. jax and torch are
used where they are installed; a check that goes without one of them says so in a warning.
"""

from mpobench.testing.corruptions import check_corruption
from mpobench.testing.envs import check_env
from mpobench.testing.evaluators import check_evaluator
from mpobench.testing.launchers import check_launcher
from mpobench.testing.objectives import check_objective

__all__ = ["check_corruption", "check_env", "check_evaluator", "check_launcher", "check_objective"]
