"""The cards of this plugin."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench import CommandCard, ObjectiveCard, hookimpl
from mpobench_discovery import METHOD

FOUND = {"NOISY_01": "noisy:0.1", "NOISY_03": "noisy:0.3", "MIXED": "mixed"}


@hookimpl
def mpobench_objectives() -> Iterable[ObjectiveCard]:
    """Results of searches with this plugin."""
    for constant, corruption in FOUND.items():
        yield ObjectiveCard(
            name=f"1s-mpo-{corruption.replace(':', '-')}",
            summary=f"One-step MPO with φ⁻¹, ψ and g evolved on tla, {corruption}",
            target=f"mpobench_discovery.found:{constant}",
            citation=METHOD,
            origin="discovered",
        )


@hookimpl
def mpobench_commands() -> Iterable[CommandCard]:
    """The search, and the simplification and publication of its result."""
    yield CommandCard(
        name="discover",
        summary="Evolve an objective; draw, simplify and publish it",
        target="mpobench_discovery.commands:app",
    )
