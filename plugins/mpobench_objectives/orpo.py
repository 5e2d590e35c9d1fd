"""ORPO: cloning and an odds ratio in one stage."""

from __future__ import annotations

from pydantic import Field

from mpobench import Objective
from mpobench.protocols import Array, PreferenceBatch

from .mirror.one_step import OneStepMPO
from .numerics import log_odds, logistic_loss


class ORPO(Objective):
    """Odds-ratio preference optimization: −M_w − λ log σ(log odds(M_w) − log odds(M_l)), M = log π(τ) / |τ|.

    Here odds(M) = e^M / (1 − e^M). Both terms are on means, as in the paper and its implementation, so there
    is no ``reduction``. Odds exist for M < 0 only: log-densities of a continuous policy may exceed 0, and
    are clipped just below it in the odds term, which then has no gradient (the cloning term keeps its own);
    see :func:`~mpobench_objectives.numerics.log_odds`. λ = 0.1 is the paper's for 7B models.

    References:
        Hong et al. (2024), ORPO: Monolithic Preference Optimization without Reference Model,
        arXiv:2403.07691, Eq. 6-7.
    """

    lam: float = Field(
        0.1,
        ge=0,
        description="weight of the odds-ratio term (λ)",
        json_schema_extra={"search": {"low": 0.01, "high": 10.0, "log": True}},
    )

    def as_networks(self) -> OneStepMPO:
        """The same loss as networks: a place for a search to begin."""
        return OneStepMPO.start().model_copy(update={"lam": self.lam})

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, decreasing in M_w, not decreasing in M_l.
        """
        xp, chosen, rejected = batch.xp, batch.chosen.mean, batch.rejected.mean
        log_odds_ratio = log_odds(xp, chosen) - log_odds(xp, rejected)
        return self.lam * logistic_loss(xp, log_odds_ratio) - chosen
