"""The cost of a search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mpobench_discovery.folder import Generation


@dataclass(frozen=True)
class Cost:
    """The cost of some generations.

    Attributes:
        agents: Number of trained policies.
        steps: Environment steps of their evaluation.
        core_hours: Hours of a core in training and evaluation.
        hours: Wall time.
        overhead: Share of the workers' time that was neither training nor evaluation; None if it is unknown.
    """

    agents: int
    steps: int
    core_hours: float
    hours: float
    overhead: float | None

    @classmethod
    def of(cls, generations: Sequence[Generation]) -> Cost:
        """The sum over generations; the overhead is that of those that were not interrupted."""
        uninterrupted = [generation for generation in generations if generation.workers]
        offered = math.fsum(generation.seconds * generation.workers for generation in uninterrupted)
        busy = math.fsum(generation.busy for generation in uninterrupted)
        return cls(
            agents=sum(len(generation.fitness) for generation in generations),
            steps=sum(generation.steps for generation in generations),
            core_hours=math.fsum(generation.busy for generation in generations) / 3600,
            hours=math.fsum(generation.seconds for generation in generations) / 3600,
            overhead=1 - busy / offered if uninterrupted else None,
        )

    def __str__(self) -> str:
        text = (
            f"{self.agents} agents trained, {self.steps / 1e6:.1f} M environment steps, "
            f"{self.core_hours:.2f} core-hours in {self.hours:.2f} hours"
        )
        if self.overhead is None:
            return text
        return f"{text}; overhead of the search {100 * self.overhead:.1f} %"
