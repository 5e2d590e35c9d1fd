"""Discovery: evolution of objectives, and the simplification and publication of the result."""

METHOD = "mpobench discover, after Alfano et al., Meta-Learning Objectives for Preference Optimization, §3.1"
"""Citation of an objective that was found by a search."""

PAPER_SPAN = (-14.0, -8.0)
"""Range of log π(τ) on the Three-Legged Ant, the axes of the paper's Figure 6, in nats per step."""
