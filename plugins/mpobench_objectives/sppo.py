"""SPPO: regress log-ratios to the win rates of a game that the policy plays against itself."""

from __future__ import annotations

from pydantic import Field

from mpobench.protocols import Array, PreferenceBatch

from .base import ReferencedObjective


class SPPOHard(ReferencedObjective):
    """Self-play preference optimization with hard labels: (r_w − 1/(2β))² + (r_l + 1/(2β))².

    Here r = log π(τ)/π_ref(τ), and 1/β is the paper's η. The paper regresses r to η (P − ½), with the
    probability P of winning that a judge gives against the policy's own samples; a dataset of labels knows
    1 and 0 only. The targets are absolute, where IPO's is the margin. Neither side may overshoot its target,
    so the loss is not monotone. The default ``reduction`` is the published sum. β = 10⁻³ is the authors'
    (η = 10³); TRL's default is 0.1.

    References:
        Wu et al. (2024), Self-Play Preference Optimization for Language Model Alignment, arXiv:2405.00675,
        Eq. 4.7.
    """

    beta: float = Field(
        1e-3,
        gt=0,
        description="inverse scale of the targets (β = 1/η): log-ratios are drawn to ±1/(2β)",
        json_schema_extra={"search": {"low": 1e-4, "high": 10.0, "log": True}},
    )

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0, and 0 where r_w = 1/(2β) = −r_l.
        """
        chosen, rejected = self.log_ratios(batch)
        target = 1 / (2 * self.beta)
        return (chosen - target) ** 2 + (rejected + target) ** 2
