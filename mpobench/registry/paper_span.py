"""The span of log π(τ) over which pictures of a loss are drawn where nothing else is asked."""

from __future__ import annotations

PAPER_SPAN = (-14.0, -8.0)
"""Range of log π(τ) on the Three-Legged Ant, the axes of the paper's Figure 6, in nats per step."""
