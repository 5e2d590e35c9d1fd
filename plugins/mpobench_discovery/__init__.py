"""Discovery: evolution of objectives, and the simplification and publication of the result."""

METHOD = "mpobench discover, after Alfano et al., Meta-Learning Objectives for Preference Optimization, §3.1"
"""Citation of an objective that was found by a search."""
