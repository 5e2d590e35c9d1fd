"""AOT: prefer the chosen side as a distribution, quantile by quantile, not pair by pair."""

from __future__ import annotations

from typing import Any

from mpobench.protocols import Array, PreferenceBatch

from .base import Beta, ReferencedObjective
from .numerics import logistic_loss

PUBLISHED_PAIRS = 32
"""Pairs that are sorted together: the paper trains by the Alignment Handbook's recipe on 8 GPUs, each with 4 pairs. The
authors want them "maximized" (https://github.com/huggingface/trl/pull/1701)."""


def same_quantile(xp: Any, of: Array, among: Array) -> Array:
    """For each entry of one sample, the entry of the other that has its rank: the optimal transport on a line.

    Args:
        xp: The array namespace.
        of: ``(pairs,)``.
        among: ``(pairs,)``.

    Returns:
        ``(pairs,)``: the entries of ``among``, in the order of ``of``. Gradients flow into ``among``.
    """
    ranks = xp.argsort(xp.argsort(of))
    return xp.take(xp.sort(among), ranks, axis=0)


class AOT(ReferencedObjective):
    """Paired alignment via optimal transport: the margins of the policy against those of the reference.

    With u = log π(τ_w) − log π(τ_l) and v = log π_ref(τ_w) − log π_ref(τ_l), each sorted over the batch, the
    loss is −log σ(β (u₍ᵢ₎ − v₍ᵢ₎)): the policy's margins are to dominate the reference's stochastically. DPO
    compares u and v of one pair. The loss at rank i is returned in the place of the pair that holds that
    rank in u; a batch of one pair has DPO's loss.

    The default ``reduction`` is the published sum; β = 0.1 is TRL's. TRL adds DPO's label smoothing, and
    sorts each device's share of each accumulated batch by itself; here the pairs of an update are sorted together.

    References:
        Melnyk et al. (2024), Distributional Preference Alignment of LLMs via Optimal Transport,
        arXiv:2406.05882, §3 (logistic loss).
    """

    beta: Beta = 0.1

    @property
    def min_pairs(self) -> int:
        """Margins are compared rank by rank, within a batch of :data:`PUBLISHED_PAIRS`."""
        return PUBLISHED_PAIRS

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included; each pair's loss depends on the others by rank.

        Returns:
            ``(pairs,)``, at least 0, decreasing in u.
        """
        xp, (chosen, rejected) = batch.xp, batch.reference
        margin = self.logp(batch.chosen) - self.logp(batch.rejected)
        reference = same_quantile(xp, margin, self.logp(chosen) - self.logp(rejected))
        return logistic_loss(xp, self.beta * (margin - reference))


class AOTUnpaired(ReferencedObjective):
    """Unpaired alignment via optimal transport: −log σ(β (r_w₍ᵢ₎ − r_l₍ᵢ₎)), r = log π(τ)/π_ref(τ), each sorted.

    The log-ratios of all chosen sides are to dominate those of all rejected ones; which chosen side came
    with which rejected one is not used. The loss at rank i is returned in the place of the pair that holds
    that rank in r_w; the gradient in a pair's rejected side may so come from another pair's loss. A batch of
    one pair has DPO's loss. Defaults and TRL's differences are those of :class:`AOT`.

    References:
        Melnyk et al. (2024), Distributional Preference Alignment of LLMs via Optimal Transport,
        arXiv:2406.05882, §3 (logistic loss).
    """

    beta: Beta = 0.1

    @property
    def min_pairs(self) -> int:
        """Log-ratios are compared rank by rank, within a batch of :data:`PUBLISHED_PAIRS`."""
        return PUBLISHED_PAIRS

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities, the reference's included; each pair's loss depends on the others by rank.

        Returns:
            ``(pairs,)``, at least 0; their sum is decreasing in every r_w and increasing in every r_l.
        """
        xp, (chosen, rejected) = batch.xp, self.log_ratios(batch)
        return logistic_loss(xp, self.beta * (chosen - same_quantile(xp, chosen, rejected)))
