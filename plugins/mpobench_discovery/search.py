"""The search: generations of objectives, each trained like any of the leaderboard's, on a launcher's workers."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mpobench import MpobenchError, Prerequisite, RequestError, save_objective
from mpobench.cells import TrainingSpec
from mpobench.keys import content_key
from mpobench.loading import one_line
from mpobench.progress import Display
from mpobench.registry import get_registry
from mpobench.tasks import at_once, make_prerequisite
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
class Task:
    """A search and what it was found to mean.

    Attributes:
        search: what was asked.
        genome: what it changes.
        spec: training of the start on the search's first dataset.
        key: of everything that decides the outcome, but for what may be extended.
    """

    search: Search
    genome: Genome
    spec: TrainingSpec
    key: str

    def member(self, generation: int, index: int, numbers: Numbers | None) -> Member:
        """What a worker needs to know of a member; without numbers, it is the start."""
        return Member(
            generation,
            index,
            replace(self.spec, seed=self.dataset_seed(generation)),
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


def prepare(search: Search, genome: Genome, folder: Folder) -> Task:
    """Checks a search down to the training of its start, and claims the folder.

    Raises:
        RequestError: if an environment, a corruption, an evaluator or an override is not what it should be, or the
            folder holds something else.
    """
    registry = get_registry()
    if not folder.claimed and folder.name in {each.card.name for each in registry.cards("objective")}:
        raise RequestError(f"an objective is named {folder.name!r} already: choose another --output")
    evaluators = (search.evaluator,) if search.evaluator else ()
    spec = TrainingSpec(
        search.env,
        search.corruption,
        genome.family,
        evaluators,
        SEEDS * (search.seed + 1),
        search.scale,
        search.training,
    )
    training = spec.build(registry)
    start = content_key([genome.family, genome.start.model_dump(mode="json")])
    resolved = {"start", "learn", "family", "env", "corruption", "training", "evaluator"}
    key = content_key(
        {
            "version": VERSION,
            "search": search.model_dump(mode="json", exclude=EXTENDABLE | resolved),
            "start": start,
            "learn": genome.fields,
            "cell": training.cells[0].key,
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
    evaluator = training.spec.evaluators[:1]
    return Task(
        search, genome, replace(spec, objective=str(folder.start.absolute()), evaluators=evaluator), key
    )


def evolve(task: Task, folder: Folder, executor: Executor, workers: int, cache: Path) -> list[Generation]:
    """Runs the generations that are missing; each leaves a checkpoint.

    Args:
        task: what to search.
        folder: held by this process.
        executor: of the workers.
        workers: how many there are; 0 if nobody knows.
        cache: the folder that runs share.

    Returns:
        All generations.

    Raises:
        RequestError: if a checkpoint is damaged.
        MpobenchError: if a worker died, or a member could not be computed; what was computed is kept.
        KeyboardInterrupt: on Ctrl-C; likewise.
    """
    search, strategy = task.search, Strategy(task.search, task.genome)
    generations, state = finished(task, folder, strategy)
    if len(generations) == search.generations:
        return generations
    make_shared_files(task, executor, cache)
    with Table(search.generations, len(generations), search.population) as table:
        for number in range(len(generations) + 1, search.generations + 1):
            began, known = time.perf_counter(), folder.scores(number)
            numbers = strategy.ask(state, number)
            members = [
                task.member(number, index, task.genome.decoded(each)) for index, each in enumerate(numbers)
            ]
            found = measure(members, known, folder, executor, workers, cache, table.scored)
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
                workers=0 if known else workers,
            )
            folder.save(generation, task.key)
            generations.append(generation)
            table.finished(number, fitness, generation.seconds)
    return generations


def finished(task: Task, folder: Folder, strategy: Strategy) -> tuple[list[Generation], Any]:
    """The generations that are there, and the strategy's state after them.

    Raises:
        RequestError: if one of them is damaged.
    """
    like = task.genome.decoded(strategy.mean(strategy.start()))
    count = folder.generations()
    found = [folder.load(number, task.key, like, task.search.population) for number in range(1, count + 1)]
    try:
        return found, strategy.unpack(found[-1].state) if found else strategy.start()
    except (KeyError, ValueError) as error:
        raise folder.damage(count) from error


def measure(
    members: list[Member],
    known: dict[int, Score],
    folder: Folder,
    executor: Executor,
    workers: int,
    cache: Path,
    report: Callable[[int, int], None],
) -> list[Score]:
    """The score of each member: the known one, or measured and noted in the journal.

    Args:
        members: of one generation.
        known: what the journal has of it, by member.
        folder: with the journal.
        executor: of the workers.
        workers: how many there are; 0 if nobody knows.
        cache: the folder that runs share.
        report: called with how many have their score, and how many of these had it before.
    """
    found = dict(known)
    report(len(found), len(found))
    missing = [member for member in members if member.index not in found]
    with workers_alive():
        parts = [executor.submit(scores, part, cache) for part in _parts(missing, executor, workers)]
        for future in as_completed(parts):
            for each in _result(future):
                folder.note(each)
                found[each.index] = each
            report(len(found), 0)
    return [found[member.index] for member in members]


def _parts(members: list[Member], executor: Executor, workers: int) -> list[list[Member]]:
    """Members that a worker trains at once: as many as its device carries out, but none while another worker idles."""
    parts: list[list[Member]] = []
    width = executor.submit(at_once, members[0].spec).result() if members else 1
    for _, group in itertools.groupby(members, lambda member: member.spec):
        together = list(group)
        size = min(width, -(-len(together) // max(workers, 1)))
        parts += (together[first : first + size] for first in range(0, len(together), size))
    return parts


def _result(future: Future[list[Score]]) -> list[Score]:
    try:
        return future.result()
    except (MpobenchError, BrokenProcessPool):
        raise
    except Exception as error:
        raise MpobenchError(
            f"a member cannot be computed: {one_line(error)}; what was computed is kept"
        ) from error


def make_shared_files(task: Task, executor: Executor, cache: Path) -> None:
    """Rollouts and SFT stages that members will read: each is made once, as many at a time as there are workers.

    Raises:
        MpobenchError: if one cannot be made.
    """
    missing: dict[str, tuple[Prerequisite, TrainingSpec]] = {}
    for generation in range(1, min(task.search.datasets, task.search.generations) + 1):
        spec = task.member(generation, 0, None).spec
        training = spec.build(get_registry())
        for each in training.env.component.prerequisites(training.request):
            if not (cache / each.path).exists():
                missing[each.key] = (each, spec)
    phases: dict[str, dict[str, float]] = {}
    for key, (each, _) in missing.items():
        phases.setdefault(each.phase, {})[key] = each.cost
    with Display(phases) as display, workers_alive():
        while missing:
            ready = {key: found for key, found in missing.items() if not missing.keys() & set(found[0].needs)}
            futures = {}
            for key, (each, spec) in ready.items():
                display.update(key, each.phase, 0.0)
                futures[executor.submit(make_prerequisite, spec, each, cache)] = missing.pop(key)[0]
            for future in as_completed(futures):
                failure = future.result()
                if failure is not None and failure.status != "diverged":  # then its members diverge, too
                    raise MpobenchError(f"the search cannot begin: {failure.reason}")
                display.finish(futures[future].key, (futures[future].phase,))


@contextmanager
def workers_alive() -> Iterator[None]:
    """Makes the death of a worker an error that says what to do."""
    try:
        yield
    except BrokenProcessPool as error:
        raise MpobenchError(
            "a worker process died (out of memory?): what was computed is kept; give the same command again, "
            "with fewer --workers if it happens again"
        ) from error
