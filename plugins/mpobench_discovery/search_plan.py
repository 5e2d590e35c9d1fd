"""The plan of a search: the trainings of its start, the seeds of its members, and the key of its outcome."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mpobench import RequestError, save_objective
from mpobench.files.keys import content_key
from mpobench.planning.cells import Training
from mpobench.planning.env_plan import plan_training
from mpobench.registry.registry import get_registry
from mpobench_discovery.folder import EXTENDABLE, Folder
from mpobench_discovery.genome import Genome, Numbers
from mpobench_discovery.members import Member
from mpobench_discovery.settings import Search

SEEDS = 100_000
"""Distance between the seeds of two searches, and the first seed of a search: smaller ones are held out, for the
comparison of the result with the start."""

VERSION = 2
"""Version of the search, raised when the same request has another outcome: no search goes on as another one."""


@dataclass(frozen=True)
class SearchPlan:
    """A search, resolved.

    Attributes:
        search: Settings of the search.
        genome: Objective at the start, and the fields that are learned.
        trainings: Training of the start on each of the search's datasets, by seed of the dataset.
        key: Content key of everything that decides the outcome, except the number of generations.
    """

    search: Search
    genome: Genome
    trainings: dict[int, Training]
    key: str

    def member(self, generation: int, index: int, numbers: Numbers) -> Member:
        """A member of a generation, with its dataset and seeds."""
        return Member(
            generation,
            index,
            self.trainings[self.dataset_seed(generation)],
            numbers,
            self.training_seed(generation, index),
            self.member_seed(generation, index),
        )

    def dataset_seed(self, generation: int) -> int:
        """Seed of the dataset that a generation trains on."""
        return first_seed(self.search) + (generation - 1) % self.search.datasets

    def member_seed(self, generation: int, index: int) -> int:
        """Seed of a member's training and evaluation, which the two of an antithetic pair share."""
        pairs = self.search.population // 2
        return first_seed(self.search) + (generation - 1) * pairs + index % pairs

    def training_seed(self, generation: int, index: int) -> int:
        """Seed of a member's training: the dataset's if an SFT stage comes first, which is made once per dataset."""
        if self.genome.start.two_stage:
            return self.dataset_seed(generation)
        return self.member_seed(generation, index)


def first_seed(search: Search) -> int:
    """The smallest seed that a search uses."""
    return SEEDS * (search.seed + 1)


def plan_search(search: Search, genome: Genome, folder: Folder) -> SearchPlan:
    """Resolves a search down to the trainings of its start, and claims the folder.

    Raises:
        RequestError: If an environment, a corruption, an evaluator or an override is unknown or out of range, or the
            folder holds something else.
    """
    registry = get_registry()
    if not folder.claimed and folder.name in {each.card.name for each in registry.cards("objective")}:
        raise RequestError(f"an objective is named {folder.name!r} already: choose another --output")
    first = first_seed(search)
    trainings = plan_trainings(search, genome, range(first, first + search.datasets))
    start = content_key([genome.family, genome.start.model_dump(mode="json")])
    resolved = {"start", "learn", "family", "env", "corruption", "training", "evaluator"}
    key = content_key(
        {
            "version": VERSION,
            "search": search.model_dump(mode="json", exclude=EXTENDABLE | resolved),
            "start": start,
            "learn": genome.fields,
            "cell": trainings[first].cells[0].key,
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
    """Trainings of a search's start, one for each seed, with the evaluator whose first metric is the fitness.

    They are planned with the family's registered objective, so that the key of a search does not depend on the path
    of its start; then the start takes its place.

    Raises:
        RequestError: If an environment, a corruption, an evaluator or an override is unknown or out of range.
    """
    registry, trainings = get_registry(), {}
    for seed in seeds:
        training = plan_training(
            registry,
            search.env,
            search.corruption,
            genome.family,
            seed,
            search.scale,
            evaluators=(search.evaluator,) if search.evaluator else (),
            overrides=search.training,
        )
        trainings[seed] = replace(training, request=replace(training.request, objective=genome.start))
    return trainings
