"""The search: generations of objectives, each trained like any of the leaderboard's, on a launcher's workers."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mpobench import MpobenchError, RequestError, Workers, save_objective
from mpobench.files.keys import content_key
from mpobench.planning.cells import Training
from mpobench.planning.env_plan import plan_training
from mpobench.registry.registry import get_registry
from mpobench.running.prerequisites import make_prerequisites
from mpobench.running.runner import ask_group_size
from mpobench.running.scheduler import Scheduler, Task
from mpobench.running.worker import Failure
from mpobench_discovery.folder import EXTENDABLE, Folder, Generation
from mpobench_discovery.genome import Genome, Numbers
from mpobench_discovery.members import Member, Score, scores
from mpobench_discovery.settings import Search
from mpobench_discovery.strategy import Strategy
from mpobench_discovery.table import Table

SEEDS = 100_000
"""Seeds of a search begin at this multiple of its own (plus one): those below are for comparing what it finds."""


VERSION = 1
"""Raised when the same request would find something else, so that no search goes on as another one."""


@dataclass(frozen=True)
class SearchPlan:
    """A search and what it was found to mean.

    Attributes:
        search: what was asked.
        genome: what it changes.
        trainings: of the start, on each of the search's datasets, by seed.
        key: of everything that decides the outcome, but for what may be extended.
    """

    search: Search
    genome: Genome
    trainings: dict[int, Training]
    key: str

    def member(self, generation: int, index: int, numbers: Numbers | None) -> Member:
        """What a worker needs to know of a member; without numbers, it is the start."""
        return Member(
            generation,
            index,
            self.trainings[self.dataset_seed(generation)],
            numbers,
            self.training_seed(generation, index),
            self.member_seed(generation, index),
        )

    def dataset_seed(self, generation: int) -> int:
        """Of the dataset that a generation trains on."""
        return SEEDS * (self.search.seed + 1) + (generation - 1) % self.search.datasets

    def member_seed(self, generation: int, member: int) -> int:
        """Of a member's training and evaluation, which its mirror image shares."""
        pairs = self.search.population // 2
        return SEEDS * (self.search.seed + 1) + (generation - 1) * pairs + member % pairs

    def training_seed(self, generation: int, member: int) -> int:
        """Where an SFT stage comes first, it is made once for each dataset, and so its seed is the dataset's."""
        if self.genome.start.two_stage:
            return self.dataset_seed(generation)
        return self.member_seed(generation, member)


def prepare(search: Search, genome: Genome, folder: Folder) -> SearchPlan:
    """Checks a search down to the training of its start, and claims the folder.

    Raises:
        RequestError: if an environment, a corruption, an evaluator or an override is not what it should be, or the
            folder holds something else.
    """
    registry = get_registry()
    if not folder.claimed and folder.name in {each.card.name for each in registry.cards("objective")}:
        raise RequestError(f"an objective is named {folder.name!r} already: choose another --output")
    seeds = [SEEDS * (search.seed + 1) + number for number in range(search.datasets)]
    trainings = plan_trainings(search, genome, seeds)
    start = content_key([genome.family, genome.start.model_dump(mode="json")])
    resolved = {"start", "learn", "family", "env", "corruption", "training", "evaluator"}
    key = content_key(
        {
            "version": VERSION,
            "search": search.model_dump(mode="json", exclude=EXTENDABLE | resolved),
            "start": start,
            "learn": genome.fields,
            "cell": trainings[seeds[0]].cells[0].key,
        }
    )
    folder.claim(search, key, start)
    if not folder.start.exists():
        save_objective(
            folder.start,
            genome.start,
            genome.family,
            name=f"{folder.name}-start",
            summary=f"Where a search on {search.env} {search.corruption} began"[:160],
        )
    elif registry.build("objective", str(folder.start.absolute())).component != genome.start:
        raise RequestError(f"{folder.start} is not where this search began: choose another --output")
    return SearchPlan(search, genome, trainings, key)


def plan_trainings(search: Search, genome: Genome, seeds: Iterable[int]) -> dict[int, Training]:
    """Trainings of a search's start, one for each seed, with the evaluator that gives the fitness.

    Raises:
        RequestError: if an environment, a corruption, an evaluator or an override is not what it should be.
    """
    evaluators = (search.evaluator,) if search.evaluator else ()
    registry = get_registry()
    planned = {
        seed: plan_training(
            registry,
            search.env,
            search.corruption,
            genome.family,
            seed,
            search.scale,
            evaluators=evaluators,
            overrides=search.training,
        )
        for seed in seeds
    }
    return {
        seed: replace(training, request=replace(training.request, objective=genome.start))
        for seed, training in planned.items()
    }


def evolve(plan: SearchPlan, folder: Folder, workers: Workers, cache: Path) -> list[Generation]:
    """Runs the generations that are missing; each leaves a checkpoint.

    Args:
        plan: what to search.
        folder: held by this process.
        workers: that train and score members.
        cache: the folder that runs share.

    Returns:
        All generations.

    Raises:
        RequestError: if a checkpoint is damaged.
        MpobenchError: if a worker died, or a member could not be computed; what was computed is kept.
        KeyboardInterrupt: on Ctrl-C; likewise.
    """
    search, strategy = plan.search, Strategy(plan.search, plan.genome)
    generations, state = finished(plan, folder, strategy)
    if len(generations) == search.generations:
        return generations
    make_prerequisites(list(plan.trainings.values())[: search.generations], workers, cache)
    with Table(search.generations, len(generations), search.population) as table:
        for number in range(len(generations) + 1, search.generations + 1):
            began, known = time.perf_counter(), folder.scores(number)
            numbers = strategy.ask(state, number)
            members = [
                plan.member(number, index, plan.genome.decoded(each)) for index, each in enumerate(numbers)
            ]
            found = measure(members, known, folder, workers, cache, table)
            fitness = np.array([each.fitness for each in found])
            state, mean = strategy.tell(state, number, numbers, fitness)
            generation = Generation(
                number=number,
                mean=mean,
                state=strategy.pack(state),
                fitness=fitness,
                seeds=np.array([member.training_seed for member in members]),
                evaluation_seeds=np.array([member.evaluation_seed for member in members]),
                seconds=time.perf_counter() - began,
                busy=math.fsum(each.seconds for each in found),
                steps=sum(each.steps for each in found),
                workers=0 if known else workers.count(),
            )
            folder.save(generation, plan.key)
            generations.append(generation)
            table.finished(number, fitness, generation.seconds)
    return generations


def finished(plan: SearchPlan, folder: Folder, strategy: Strategy) -> tuple[list[Generation], Any]:
    """The generations that are there, and the strategy's state after them.

    Raises:
        RequestError: if one of them is damaged.
    """
    like = plan.genome.decoded(strategy.mean(strategy.start()))
    count = folder.generations()
    found = [folder.load(number, plan.key, like, plan.search.population) for number in range(1, count + 1)]
    try:
        return found, strategy.unpack(found[-1].state) if found else strategy.start()
    except (KeyError, ValueError) as error:
        raise folder.damage(count) from error


class Report(Protocol):
    """A display of the scores that come in."""

    def scored(self, members: int, resumed: int = 0) -> None:
        """Shows how many members have their score; ``resumed`` of them were scored before this run."""

    def note(self, line: str) -> None:
        """Shows a line."""


def measure(
    members: list[Member],
    known: dict[int, Score],
    folder: Folder,
    workers: Workers,
    cache: Path,
    report: Report,
) -> list[Score]:
    """The score of each member: the known one, or measured and noted in the journal.

    Args:
        members: of one generation.
        known: what the journal has of it, by member.
        folder: with the journal.
        workers: that train and score members.
        cache: the folder that runs share.
        report: shows progress.

    Raises:
        MpobenchError: if a member cannot be computed; what was computed is kept.
    """
    found = dict(known)
    report.scored(len(found), len(found))

    def finished(key: str, result: Any) -> None:
        if isinstance(result, Failure):
            raise MpobenchError(f"a member cannot be computed: {result.reason}; what was computed is kept")
        for each in result:
            folder.note(each)
            found[each.index] = each
        report.scored(len(found))

    parts = _parts([member for member in members if member.index not in found], workers)
    Scheduler(workers, finished, report.note).run(_member_task(part, cache) for part in parts)
    return [found[member.index] for member in members]


def _member_task(part: list[Member], cache: Path) -> Task:
    call = scores, (part, cache)
    return Task(f"members from {part[0].index}", lambda: call)


def _parts(members: list[Member], workers: Workers) -> list[list[Member]]:
    """Members that a worker trains in one program: at most its group size, and none while another worker idles."""
    parts: list[list[Member]] = []
    size = ask_group_size(workers, members[0].training.env) if members else 1
    for _, same in itertools.groupby(members, lambda member: member.training.key):
        group = list(same)
        share = min(size, -(-len(group) // max(workers.count(), 1)))
        parts += (group[first : first + share] for first in range(0, len(group), share))
    return parts
