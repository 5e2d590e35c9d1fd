"""The search: generations of objectives, each trained like any of the leaderboard's, on a launcher's workers."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from mpobench import Workers
from mpobench.running.prerequisites import make_prerequisites
from mpobench_discovery.folder import Folder, Generation
from mpobench_discovery.measure import measure
from mpobench_discovery.search_plan import SearchPlan
from mpobench_discovery.strategy import Strategy
from mpobench_discovery.table import Table


def evolve(plan: SearchPlan, folder: Folder, workers: Workers, cache: Path) -> list[Generation]:
    """Runs the generations that are missing; each leaves a checkpoint.

    Args:
        plan: Plan of the search.
        folder: Folder that this process holds.
        workers: Workers that train and score members.
        cache: Folder that runs share.

    Returns:
        All generations.

    Raises:
        RequestError: If a checkpoint is damaged.
        MpobenchError: If a shared file or a member cannot be computed; scores that came in are kept.
        KeyboardInterrupt: On Ctrl-C; likewise.
    """
    search, strategy = plan.search, Strategy(plan.search, plan.genome)
    generations, state = finished_generations(plan, folder, strategy)
    if len(generations) == search.generations:
        return generations
    make_prerequisites(list(plan.trainings.values())[: search.generations], workers, cache)
    with Table(search.generations, len(generations), search.population) as table:
        for number in range(len(generations) + 1, search.generations + 1):
            began, known = time.perf_counter(), folder.resumed_scores(number)
            numbers = strategy.ask(state, number)
            members = [
                plan.member(number, index, plan.genome.decoded(encoded))
                for index, encoded in enumerate(numbers)
            ]
            scores = measure(members, known, folder, workers, cache, table)
            fitness = np.array([score.fitness for score in scores])
            state, mean = strategy.tell(state, number, numbers, fitness)
            generation = Generation(
                number=number,
                mean=mean,
                state=strategy.pack(state),
                fitness=fitness,
                seeds=np.array([member.training_seed for member in members]),
                evaluation_seeds=np.array([member.evaluation_seed for member in members]),
                seconds=time.perf_counter() - began,
                busy=math.fsum(score.seconds for score in scores),
                steps=sum(score.steps for score in scores),
                workers=0 if known else workers.count(),
            )
            folder.save(generation, plan.key)
            generations.append(generation)
            table.finished(number, fitness, generation.seconds)
    return generations


def finished_generations(
    plan: SearchPlan, folder: Folder, strategy: Strategy
) -> tuple[list[Generation], Any]:
    """The generations that have a checkpoint, and the strategy's state after them.

    Raises:
        RequestError: If a checkpoint is damaged.
    """
    like = plan.genome.decoded(strategy.mean(strategy.start()))
    count = folder.generations()
    generations = [
        folder.load(number, plan.key, like, plan.search.population) for number in range(1, count + 1)
    ]
    try:
        return generations, strategy.unpack(generations[-1].state) if generations else strategy.start()
    except (KeyError, ValueError) as error:
        raise folder.damage(count) from error
