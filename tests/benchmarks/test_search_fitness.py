"""The fitness of a search beside what it stands for: members of a first generation, ranked by one seed and by many."""

from __future__ import annotations

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

MEMBERS, SEEDS = 16, range(4000, 4006)
START = "tampo:schedule=sigmoid,beta=0.0112,gamma=0.541"


@pytest.mark.benchmark
@pytest.mark.slow
def test_a_cheap_fitness_ranks_members_as_the_full_one_does(tmp_path: Path) -> None:
    fitness = {episodes: measured(episodes, tmp_path) for episodes in (8, 16, 32)}
    full = fitness[32]
    print(
        f"spread of members {full.mean(axis=0).std(ddof=1):.0f}, of seeds {full.mean(axis=1).std(ddof=1):.0f}"
    )
    for episodes, each in fitness.items():
        rhos = [
            spearmanr(each[seed], np.delete(full, seed, axis=0).mean(axis=0)).statistic
            for seed in range(len(SEEDS))
        ]
        print(f"one seed of {episodes} episodes: ρ {np.mean(rhos):.2f} with the other {len(SEEDS) - 1} of 32")
        assert np.mean(rhos) > 0.3


def measured(episodes: int, folder: Path) -> np.ndarray:
    """``(seeds, members)``: fitness."""
    defaults = get_registry().build("env", "tla").component.objective_defaults
    genome = find_genome("tampo", (), START, defaults)
    search = Search.of(
        {
            "corruption": "mixed",
            "family": genome.family,
            "start": START,
            "population": MEMBERS,
            "training": {"learning_rate": 0.00581},
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
