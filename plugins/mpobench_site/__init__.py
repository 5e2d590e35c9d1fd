"""Leaderboards as a static site: it opens from disk, and any host of files publishes it."""
