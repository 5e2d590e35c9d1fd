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

MEMBERS, SEEDS, FEW, FULL = 24, range(4000, 4006), (8, 16, 32), 100
STARTS = {
    "mixed": ("tampo:schedule=sigmoid,beta=0.0112,gamma=0.541", 0.00581),
    "noisy:0.1": ("tampo:schedule=linear,beta=0.0122,gamma=0.128", 0.0085),
}


@pytest.mark.benchmark
@pytest.mark.slow
@pytest.mark.parametrize("corruption", STARTS)
def test_few_episodes_rank_members_as_many_do(corruption: str, tmp_path: Path) -> None:
    fitness = {episodes: measured(corruption, episodes, tmp_path) for episodes in (*FEW, FULL)}
    full = fitness[FULL]
    members, seeds = full.mean(axis=0).std(ddof=1), full.std(axis=0, ddof=1).mean()
    print(f"\n{corruption}: members differ by {members:.0f}, and one of them by {seeds:.0f} over seeds")
    for episodes in FEW:
        same = [correlation(few, many) for few, many in zip(fitness[episodes], full, strict=True)]
        others = [
            correlation(fitness[episodes][seed], np.delete(full, seed, axis=0).mean(axis=0))
            for seed in range(len(SEEDS))
        ]
        print(
            f"{episodes:3} episodes: ρ {np.mean(same):.2f} with {FULL}, {np.mean(others):.2f} with other seeds'"
        )
        assert np.mean(same) > 0.6
    halves = [
        correlation(full[list(half)].mean(axis=0), np.delete(full, half, axis=0).mean(axis=0))
        for half in itertools.combinations(range(len(SEEDS)), len(SEEDS) // 2)
    ]
    print(f"{FULL} episodes: ρ {np.mean(halves):.2f} between the means of three seeds and of three others")


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's ρ."""
    return float(spearmanr(first, second).statistic)


def measured(corruption: str, episodes: int, folder: Path) -> np.ndarray:
    """``(seeds, members)``: fitness."""
    start, learning_rate = STARTS[corruption]
    defaults = get_registry().build("env", "tla").component.objective_defaults
    genome = find_genome("tampo", (), start, defaults)
    search = Search.of(
        {
            "corruption": corruption,
            "family": genome.family,
            "start": start,
            "population": MEMBERS,
            "training": {"learning_rate": learning_rate},
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
