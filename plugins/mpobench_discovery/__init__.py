"""Discovery: evolution of objectives, and what becomes of those that it finds."""

METHOD = "mpobench discover, after Alfano et al., Meta-Learning Objectives for Preference Optimization, §3.1"
"""What an objective that was found cites."""
