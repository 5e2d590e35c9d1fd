"""Base of the mirror objectives: φ⁻¹ and g, ψ where there is cloning, each in closed form or as a network."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from mpobench.protocols import Array, LearnableFunction, Tensors

from ..base import ReducedObjective, Reduction
from . import network, weights
from .potentials import Link, Potential, inverse_potential, link

PHI = LearnableFunction(
    "phi_network",
    r"$\phi^{-1}(\pi(\tau))$",
    "logp",
    lambda objective, xp, logp: objective.inverse_potentials(xp, logp)[0],
    non_negative=weights.NON_NEGATIVE,
)
PSI = LearnableFunction(
    "psi_network",
    r"$\psi(\pi(\tau))$",
    "logp",
    lambda objective, xp, logp: objective.cloning(xp, logp),
    non_negative=weights.NON_NEGATIVE,
)
G = LearnableFunction(
    "g_network",
    r"$g(x)$",
    "margin",
    lambda objective, xp, margin: objective.score(xp, margin),
    non_negative=weights.NON_NEGATIVE,
)


class MirrorObjective(ReducedObjective):
    """A loss on φ⁻¹(π(τ)), where π(τ) may be measured through any increasing function φ⁻¹.

    The default ``reduction`` is the mean: π is then the geometric mean of a step's or token's probability.
    The product over a thousand steps is 0 in any floating-point format, where every φ⁻¹ but log and logit is
    flat; and the paper's search saw log π per step, between −14 and −8.
    """

    reduction: Reduction = "mean"
    phi: Potential = Field("log", description="inverse potential φ⁻¹, in closed form")
    g: Link = Field("log-sigmoid", description="increasing function g of the margin, in closed form")
    beta: float = Field(
        1.0,
        gt=0,
        description="scale of the margin (β)",
        json_schema_extra={"search": {"low": 0.01, "high": 100.0, "log": True}},
    )
    q: float = Field(
        0.5,
        gt=0,
        description="index of the Tsallis entropy, where it is chosen",
        json_schema_extra={"search": {"low": 0.2, "high": 2.0, "log": True}},
    )
    phi_network: Tensors | None = Field(None, description="weights of a network in place of phi")
    g_network: Tensors | None = Field(None, description="weights of a network in place of g")

    @field_validator("*")
    @classmethod
    def _increasing(cls, value: object) -> object:
        return weights.checked(value) if isinstance(value, Tensors) else value

    @classmethod
    def learnable_functions(cls) -> tuple[LearnableFunction, ...]:
        """Those of φ⁻¹ and g."""
        return (PHI, G)

    def inverse_potentials(self, xp: Any, *logps: Array) -> list[Array]:
        """φ⁻¹(π) from log π, for several arrays ``(pairs,)``."""
        if self.phi_network is None:
            return [inverse_potential(xp, self.phi, logp, self.q) for logp in logps]
        # Evaluated once for all: most of what a loss takes to compile are its evaluations of networks.
        together = network.phi_inverse(xp, self.phi_network, xp.concat(logps))
        return list(xp.reshape(together, (len(logps), -1)))

    def score(self, xp: Any, margin: Array) -> Array:
        """The score g of a margin, ``(pairs,)``."""
        if self.g_network is not None:
            return network.g(xp, self.g_network, margin)
        return link(xp, self.g, margin)


class CloningMirrorObjective(MirrorObjective):
    """A mirror objective of one stage: no reference, and a cloning term ψ(π(τ_w)) that replaces the SFT stage."""

    psi: Literal["log", "tsallis"] = Field("log", description="ψ of the cloning term, in closed form")
    psi_network: Tensors | None = Field(None, description="weights of a network in place of psi")

    @classmethod
    def learnable_functions(cls) -> tuple[LearnableFunction, ...]:
        """Those of φ⁻¹, ψ and g."""
        return (PHI, PSI, G)

    def cloning(self, xp: Any, logp: Array) -> Array:
        """ψ(π) from log π, ``(pairs,)``."""
        if self.psi_network is not None:
            return network.psi(xp, self.psi_network, logp)
        return inverse_potential(xp, self.psi, logp, self.q)
