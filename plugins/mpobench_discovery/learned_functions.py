"""The functions that an objective can learn, as curves of a picture."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, TypeAlias

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from mpobench import Objective
from mpobench.display.pictures import number
from mpobench.errors import PluginError, one_line

Floats: TypeAlias = NDArray[np.float64]

MARGINS = (-3.0, 3.0)
"""Range of the margin over which g is drawn, in nats per step."""


@dataclass(frozen=True)
class LearnedFunction:
    """A function that an objective can learn.

    Attributes:
        field: Field of the objective with its network.
        symbol: Name on its axis.
        argument: Name of its argument on the other axis.
        span: Range of its argument.
        shifted: Whether it is drawn relative to its value in the middle, because a constant does not change its effect.
        at: Function of (objective, array namespace, arguments ``(points,)``) that returns its values.
    """

    field: str
    symbol: str
    argument: str
    span: tuple[float, float]
    shifted: bool
    at: Callable[[Any, Any, Floats], Floats]

    @property
    def label(self) -> str:
        """Label of its axis."""
        return f"{self.symbol}, shifted to 0 at {number(sum(self.span) / 2)}" if self.shifted else self.symbol

    def values(self, objective: Objective, arguments: Floats) -> Floats:
        """The curve over an odd number of arguments, the middle one of which lies in the middle of the range.

        Raises:
            PluginError: If numpy cannot evaluate the objective.
        """
        try:
            with np.errstate(all="ignore"):  # points that are not finite are left out of the picture
                xp = array_api_compat.array_namespace(arguments)
                values = np.asarray(self.at(objective, xp, arguments))
                return values - values[len(values) // 2] if self.shifted else values
        except Exception as error:
            name = type(objective).__name__
            raise PluginError(f"{self.field} of {name} cannot be drawn: {one_line(error)}") from error


def learned_functions(learned: Container[str], span: tuple[float, float]) -> list[LearnedFunction]:
    """Those of the four functions that a search learns.

    Args:
        learned: Fields of their networks.
        span: Range of log π(τ), in nats per step.
    """
    logp = r"$\log\,\pi(\tau)$ (nats per step)"
    functions = [
        LearnedFunction(
            "phi_network",
            r"$\phi^{-1}(\pi(\tau))$",
            logp,
            span,
            shifted=True,
            at=lambda objective, xp, logp: objective.inverse_potentials(xp, logp)[0],
        ),
        LearnedFunction(
            "psi_network",
            r"$\psi(\pi(\tau))$",
            logp,
            span,
            shifted=True,
            at=lambda objective, xp, logp: objective.cloning(xp, logp),
        ),
        LearnedFunction(
            "g_network",
            r"$g(x)$",
            r"margin $x$",
            MARGINS,
            shifted=True,
            at=lambda objective, xp, margin: objective.score(xp, margin),
        ),
        LearnedFunction(
            "schedule_network",
            r"$\alpha(t)$",
            r"share of training done, $t$",
            (0.0, 1.0),
            shifted=False,
            at=lambda objective, xp, t: objective.preference_weight(xp, t),
        ),
    ]
    return [function for function in functions if function.field in learned]
