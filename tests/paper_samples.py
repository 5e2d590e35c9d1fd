"""Synthetic results of the Three-Legged Ant, by the paper's own numbers or by any others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from test_leaderboard import cell

from mpobench.comparison.reference import reference
from mpobench.results.cell_result import CellResult

OWN_NAMES = {
    **{there: here for here, there in reference().discovered.items()},
    "tampo[schedule=quadratic]": "tampo",
    "tampo[schedule=linear]": "tampo:schedule=linear",
    "tampo[schedule=sigmoid]": "tampo:schedule=sigmoid",
    "fdpo[divergence=jensen_shannon]": "fdpo",
}
"""Our names of the paper's objectives, where they differ."""


def runs(
    means: Mapping[tuple[str, str], float],
    spread: float = 30.0,
    seeds: int = 10,
    target: float = 4000.0,
    **fields: Any,
) -> Iterator[CellResult]:
    """Results with exactly these means, by the paper's names of objectives; their seeds are ``spread`` apart."""
    for (objective, corruption), mean in means.items():
        rng = np.random.default_rng(list(f"{objective} {corruption}".encode()))
        noise = rng.normal(0, spread, seeds)
        for seed, value in enumerate(mean + noise - noise.mean()):
            yield cell(
                OWN_NAMES.get(objective, objective),
                corruption,
                seed,
                value=float(value),
                config={"evaluation": {"target": target}},
                **fields,
            )


def published(env: str = "tla") -> dict[tuple[str, str], float]:
    """The paper's means."""
    return {place: cell.mean for place, cell in reference().tables[env].items()}
