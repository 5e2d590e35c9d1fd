"""Hinge: the margin loss of support vector machines on log-ratios to a reference."""

from __future__ import annotations

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import relu


class Hinge(ReferencedObjective):
    """The normalised hinge loss of RSO: max(0, 1 − β Δ), with Δ the log-ratio margin.

    A pair is silent once β Δ ≥ 1. SLiC-HF has the same hinge without a reference, and with a cloning term:
    :mod:`~mpobench_objectives.slic` with δ = 1/β, times β. TRL names either paper as the source of its
    ``hinge``, which is this loss in the DPO trainer, and SLiC's in the CPO trainer. Rejection sampling, the
    other half of RSO, concerns the dataset and not the loss. The default ``reduction`` is the published sum;
    β = 0.1 is TRL's.

    References:
        Liu et al. (2023), Statistical Rejection Sampling Improves Preference Optimization,
        arXiv:2309.06657 (hinge-norm, with β for its γ).
    """

    beta: Beta = 0.1

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included.

        Returns:
            ``(pairs,)``, at least 0, convex and not increasing in Δ.
        """
        return relu(batch.xp, 1 - self.beta * self.log_ratio_margin(batch))
