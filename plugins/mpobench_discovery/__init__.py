"""Discovery: evolution of objectives, and what becomes of those that it finds."""
