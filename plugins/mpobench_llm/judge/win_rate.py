"""Win rates from preferences: the plain one, and the length-controlled one."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

PRIOR_WEIGHT = 1.0
"""Number of observations that the prior on the length coefficient counts for: log-F(1, 1)."""


@dataclass(frozen=True)
class Rate:
    """An estimate and its standard error.

    Attributes:
        percent: Estimate, in percent.
        stderr: Standard error, in percent.
    """

    percent: float
    stderr: float


def win_rate(preferences: Numbers) -> Rate:
    """The mean preference; its standard error is the sample's standard deviation over √n.

    Args:
        preferences: Preferences for each answer over the baseline's, in [0, 1], ``(n,)``, n > 1.
    """
    return Rate(
        100 * float(preferences.mean()), 100 * float(preferences.std(ddof=1)) / math.sqrt(len(preferences))
    )


def length_term(lengths: Numbers, baseline_lengths: Numbers) -> Numbers:
    """The model's term of the lengths: tanh(Δ/std(Δ)), Δ = len_m − len_b, and 0 where all Δ are equal.

    Args:
        lengths: Lengths of the answers, in characters, ``(n,)``.
        baseline_lengths: Lengths of the baseline's answers, ``(n,)``.
    """
    difference = lengths - baseline_lengths
    spread = float(difference.std(ddof=1))
    return np.tanh(difference / spread) if spread > 0 else np.zeros_like(difference)


def length_controlled_win_rate(preferences: Numbers, lengths: Numbers, baseline_lengths: Numbers) -> Rate:
    """The length-controlled win rate of AlpacaEval 2 (Dubois et al. 2024, arXiv:2404.04475), without difficulties.

    A logistic regression explains the preference of pair i by the policy and by how much longer its answer is::

        P(m ≻ b)_i = σ(θ + φ·tanh(Δ_i / std(Δ))),   Δ_i = len(m_i) − len(b_i)
        lc win rate = 100·σ(θ),   the prediction at equal lengths

    The paper has a third term, γ_i·ψ: difficulties of the 805 instructions of AlpacaEval, estimated once from all
    models of its leaderboard. Other instructions have none. Without it the prediction is one number, and the standard
    error that AlpacaEval prints, of the mean prediction over instructions, would be 0: this one is the delta
    method's on the robust (sandwich) covariance.

    Lengths may separate wins from losses, where φ has no maximum of the likelihood. AlpacaEval adds annotations of a
    model with shortened and lengthened answers, at a fifth of the weight, and chooses an L1 penalty by
    cross-validation. Here φ has a log-F(1, 1) prior (Greenland & Mansournia 2015), half a win and half a loss that only
    φ explains: it vanishes as 1/n. θ has no prior, so that the mean of all fitted preferences is the win rate, and with
    lengths that differ by a constant the two win rates and their errors are equal. If every pair is won, or every one
    lost, θ is infinite, and the rate 100 or 0.

    Args:
        preferences: Preferences in [0, 1], ``(n,)``, n > 1; fractions count as such.
        lengths: Lengths of the answers, in characters, ``(n,)``.
        baseline_lengths: Lengths of the baseline's answers, ``(n,)``.
    """
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    plain = win_rate(preferences)
    if plain.percent in (0.0, 100.0):
        return plain
    count = len(preferences)
    term = length_term(lengths, baseline_lengths)
    design = np.vstack([np.column_stack([np.ones(count), term]), [0.0, 1.0]])  # the last row is the prior
    response, weights = np.append(preferences, 0.5), np.append(np.ones(count), PRIOR_WEIGHT)
    model = GLM(response, design, family=Binomial(), var_weights=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of near-perfect separation, for which the prior is there
        fit = model.fit(tol=1e-10, maxiter=200)
    at_equal_lengths = 1 / (1 + math.exp(-float(fit.params[0])))
    residuals = preferences - fit.fittedvalues[:count]
    scores = design[:count] * residuals[:, None]  # (n, 2), zero on average but for the prior
    bread = fit.normalized_cov_params
    covariance = bread @ (scores.T @ scores) @ bread * count / (count - 1)
    slope = at_equal_lengths * (1 - at_equal_lengths)
    return Rate(100 * at_equal_lengths, 100 * slope * math.sqrt(float(covariance[0, 0])))
