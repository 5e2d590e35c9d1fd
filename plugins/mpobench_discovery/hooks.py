"""The cards of this plugin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mpobench import CommandCard, ObjectiveCard, hookimpl
from mpobench_discovery import METHOD

FOUND = Path(__file__).with_name("found")
"""Folder of the objective files that were discovered here; they say how."""


@hookimpl
def mpobench_objectives() -> Iterable[ObjectiveCard]:
    """Results of searches with this plugin."""
    for corruption in ("noisy:0.1", "noisy:0.3", "mixed"):
        name = f"tampo-{corruption.replace(':', '-')}"
        yield ObjectiveCard(
            name=name,
            summary=f"TA-MPO with φ⁻¹, ψ, g and α evolved on tla, {corruption}",
            file=FOUND / f"{name}.json",
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
