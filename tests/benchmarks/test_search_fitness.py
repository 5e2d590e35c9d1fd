"""The fitness of a search beside what it stands for: members of a first generation, ranked by few episodes and by many.

The full fitness is the paper's: a hundred episodes of a policy (Table 8). Ranks differ by the episodes, and by the seed
of the data that a member trains on, which changes with every generation.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from mpobench.registry.registry import get_registry
from mpobench.running.local import Local
from mpobench_discovery.genome import find_genome
from mpobench_discovery.members import Member, scores
from mpobench_discovery.search_plan import plan_trainings
from mpobench_discovery.settings import Search
from mpobench_discovery.strategy import Strategy

MEMBERS, SEEDS, FEW, FULL = 16, range(4000, 4006), (8, 16, 32), 100
CORRUPTION, START, LEARNING_RATE = "mixed", "tampo:schedule=sigmoid,beta=0.0112,gamma=0.541", 0.00581


@pytest.mark.benchmark
@pytest.mark.slow
def test_how_well_few_episodes_rank_members(tmp_path: Path) -> None:
    fitness = {episodes: measured(episodes, tmp_path) for episodes in (*FEW, FULL)}
    full = fitness[FULL]
    members, seeds = full.mean(axis=0).std(ddof=1), full.std(axis=0, ddof=1).mean()
    one_seed = full.std(axis=1, ddof=1).mean()
    print(f"\nmembers differ by {members:.0f} in their means over seeds, and by {one_seed:.0f} on one seed")
    print(f"one member differs by {seeds:.0f} over seeds")
    for episodes in FEW:
        same = [correlation(few, many) for few, many in zip(fitness[episodes], full, strict=True)]
        others = [
            correlation(fitness[episodes][seed], np.delete(full, seed, axis=0).mean(axis=0))
            for seed in range(len(SEEDS))
        ]
        print(
            f"{episodes:3} episodes: ρ {np.mean(same):.2f} with {FULL}, {np.mean(others):.2f} with other seeds"
        )
    halves = [
        correlation(full[list(half)].mean(axis=0), np.delete(full, half, axis=0).mean(axis=0))
        for half in itertools.combinations(range(len(SEEDS)), len(SEEDS) // 2)
    ]
    print(f"{FULL} episodes: ρ {np.mean(halves):.2f} between the means of three seeds and of three others")
    assert members < seeds, "why a search draws new data for every generation"


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's ρ."""
    return float(spearmanr(first, second).statistic)


def measured(episodes: int, folder: Path) -> np.ndarray:
    """``(seeds, members)``: fitness."""
    defaults = get_registry().build("env", "tla").component.objective_defaults
    genome = find_genome("tampo", (), START, defaults)
    search = Search.of(
        {
            "corruption": CORRUPTION,
            "family": genome.family,
            "start": START,
            "population": MEMBERS,
            "training": {"learning_rate": LEARNING_RATE},
            "evaluator": f"sampled-return:{episodes}",
        },
        lambda env, scale: {},
    )
    strategy = Strategy(search, genome)
    drawn = [genome.decoded(numbers) for numbers in strategy.ask(strategy.start(), 1)]
    with Local().open(2, lambda *_: None) as workers:
        futures = [
            workers.executor.submit(
                scores,
                [Member(1, at, training, numbers, seed, seed) for at, numbers in enumerate(drawn)],
                folder,
            )
            for seed, training in plan_trainings(search, genome, SEEDS).items()
        ]
        return np.array([[score.fitness for score in future.result().scores] for future in futures])
