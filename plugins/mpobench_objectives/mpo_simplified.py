"""Two losses that evolution found with a learned g, in the polynomials to which the paper simplifies them."""

from __future__ import annotations

from mpobench.protocols import Array, PreferenceBatch

from .base import ReducedObjective, Reduction


class MPOMixed(ReducedObjective):
    """Discovered on the mixed-quality dataset: −0.82 log π(τ_w) − (1.7 d + 0.33 d² + 0.36 d³).

    Here d = log π(τ_w) − log π(τ_l). The appendix prints 0.82 L_SFT + 1.7 d + 0.33 d² + 0.36 d³. Of the two
    signs that the terms can have, this takes those of Eq. 11, ψ(π(τ_w)) + λ g(d), which is maximised:
    the cloning term rewards log π(τ_w), and the polynomial, increasing everywhere, is g. Then updates grow
    with d, and are large for d < 0 too, as §4.2 and Figure 6 describe. The loss has no lower bound.

    The default ``reduction`` is the mean over steps, on which it was discovered, with log π(τ) in [−14, −8].

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, Appendix I.2, first formula.
    """

    reduction: Reduction = "mean"

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, decreasing in log π(τ_w) and increasing in log π(τ_l).
        """
        chosen, rejected = self.logp(batch.chosen), self.logp(batch.rejected)
        d = chosen - rejected
        return -0.82 * chosen - (1.7 + (0.33 + 0.36 * d) * d) * d


class MPONoisy(ReducedObjective):
    """Discovered on the noisy dataset (ε = 0.3): −0.82 log π(τ_w) − max(1.39 d², 0.12 d).

    Here d = log π(τ_w) − log π(τ_l), and the signs are those of :class:`MPOMixed`: for d > 0, updates grow
    with d, as §4.2 and Figure 6 describe. The second term is kept **as printed, and is not monotone**: for
    d < 0 the maximum is 1.39 d², whose updates push the chosen side further below the rejected one. §4.2 says
    that there the discovered loss only clones, so the simplification, or its print, has lost something.

    The default ``reduction`` is the mean over steps, on which it was discovered, with log π(τ) in [−14, −8].

    References:
        Alfano et al., Meta-Learning Objectives for Preference Optimization, Appendix I.2, second formula.
    """

    reduction: Reduction = "mean"

    def loss(self, batch: PreferenceBatch) -> Array:
        """The loss of each pair.

        Args:
            batch: Log-probabilities; the reference is not read.

        Returns:
            ``(pairs,)``, decreasing in log π(τ_w) and increasing in log π(τ_l) where d > 0.
        """
        chosen, rejected = self.logp(batch.chosen), self.logp(batch.rejected)
        d = chosen - rejected
        return -0.82 * chosen - batch.xp.maximum(1.39 * d**2, 0.12 * d)
