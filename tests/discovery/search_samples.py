"""A search on the two-armed bandit, which trains a member in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpobench_discovery.genome import Genome, find_genome
from mpobench_discovery.settings import Search

FAMILIES = ("1s-mpo", "2s-mpo", "tampo")


def a_search(**values: Any) -> Search:
    """A small search, or what is left of it after ``values``."""
    return Search.of({"env": "bandit", "scale": "smoke", "family": "1s-mpo", **values}, lambda env, scale: {})


def a_genome(family: str = "1s-mpo", *learn: str) -> Genome:
    return find_genome(family, learn, None)


BANDIT = ("--env", "bandit", "--corruption", "noisy:0.1", "--scale", "smoke", "--workers", "2")


def arguments(output: Path, *more: str) -> tuple[str, ...]:
    """The command line of a small search."""
    return ("discover", *BANDIT, "--output", str(output), *more)
