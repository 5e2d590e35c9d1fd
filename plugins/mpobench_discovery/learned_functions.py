"""The functions that a search learns, as curves of a picture."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import TypeAlias

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from mpobench import Objective
from mpobench.display.pictures import number
from mpobench.errors import PluginError, one_line
from mpobench.protocols import LearnableFunction
from mpobench_discovery.genome import functions_of

Floats: TypeAlias = NDArray[np.float64]

MARGINS = (-3.0, 3.0)
"""Range over which functions of a margin are drawn, in nats per step."""

ARGUMENTS = {
    "logp": r"$\log\,\pi(\tau)$ (nats per step)",
    "margin": r"margin $x$",
    "progress": r"share of training done, $t$",
}
"""Labels of the axes of arguments."""


@dataclass(frozen=True)
class LearnedFunction:
    """A function that a search learns, over a range of its argument.

    Attributes:
        function: Function, as its objective declares it.
        span: Range of its argument.
    """

    function: LearnableFunction
    span: tuple[float, float]

    @property
    def argument(self) -> str:
        """Label of the axis of its argument."""
        return ARGUMENTS[self.function.argument]

    @property
    def label(self) -> str:
        """Label of the axis of its values."""
        symbol = self.function.symbol
        return f"{symbol}, shifted to 0 at {number(sum(self.span) / 2)}" if self.function.shifted else symbol

    def values(self, objective: Objective, arguments: Floats) -> Floats:
        """The curve over an odd number of arguments, the middle one of which lies in the middle of the range.

        Raises:
            PluginError: If numpy cannot evaluate the objective.
        """
        try:
            with np.errstate(all="ignore"):  # points that are not finite are left out of the picture
                xp = array_api_compat.array_namespace(arguments)
                values = np.asarray(self.function.values(objective, xp, arguments))
                return values - values[len(values) // 2] if self.function.shifted else values
        except Exception as error:
            name = type(objective).__name__
            raise PluginError(
                f"{self.function.field} of {name} cannot be drawn: {one_line(error)}"
            ) from error


def learned_functions(
    objective: Objective, learned: Container[str], span: tuple[float, float]
) -> list[LearnedFunction]:
    """Those of an objective's functions that a search learns, in the order in which it declares them.

    Args:
        objective: Objective.
        learned: Fields of their weights.
        span: Range of log π(τ), in nats per step.
    """
    spans = {"logp": span, "margin": MARGINS, "progress": (0.0, 1.0)}
    return [
        LearnedFunction(function, spans[function.argument])
        for field, function in functions_of(objective).items()
        if field in learned
    ]
