"""The score of one objective on one corruption, with its interval: what pictures draw."""

from __future__ import annotations

from mpobench.leaderboard.resampling import interval, resampled_means
from mpobench.leaderboard.standings import Entry, Section
from mpobench.leaderboard.statistics import Quantity


def score(section: Section, entry: Entry) -> Quantity | None:
    """The mean over the finished seeds, with its 95 % bootstrap interval; None if no seed finished."""
    if entry.estimate is None:
        return None
    n = entry.estimate.n
    drawn = interval(resampled_means(entry.by_seed, section.resamples), n) if n > 1 else None
    return Quantity(entry.estimate.mean, drawn)
