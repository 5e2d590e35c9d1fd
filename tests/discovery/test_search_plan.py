"""The plan of a search: its members train its start, each with numbers, seeds and a key of its own."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from objective_file_samples import one_step
from search_samples import a_search

from mpobench import RequestError, save_objective
from mpobench_discovery.folder import Folder
from mpobench_discovery.genome import Numbers, find_genome
from mpobench_discovery.search_plan import SEEDS, SearchPlan, plan_search, plan_trainings


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """An objective file that differs from the family's own start."""
    file = tmp_path / "begin.json"
    save_objective(file, one_step(lam=2.0), "1s-mpo", name="begin", summary="To begin with")
    return file


def planned(start: Path | None, folder: Path, learn: tuple[str, ...] = ()) -> SearchPlan:
    search = a_search(env="tla", datasets=2, seed=1, learn=learn, start=None if start is None else str(start))
    with Folder(folder).held():
        return plan_search(
            search, find_genome("1s-mpo", learn, None if start is None else str(start)), Folder(folder)
        )


def moved(plan: SearchPlan, step: float) -> Numbers:
    encoded = plan.genome.encoded(0.1)
    return plan.genome.decoded(
        {
            field: {part: value + np.float32(step) for part, value in parts.items()}
            for field, parts in encoded.items()
        }
    )


def test_every_training_is_of_the_start(start: Path, tmp_path: Path) -> None:
    plan = planned(start, tmp_path / "search")
    assert list(plan.trainings) == [2 * SEEDS, 2 * SEEDS + 1]
    held_out = plan_trainings(plan.search, plan.genome, range(3))
    for seed, training in {**plan.trainings, **held_out}.items():
        assert training.request.objective == plan.genome.start
        assert training.request.objective.lam == 2.0  # type: ignore[attr-defined]
        assert training.request.dataset.seed == seed
    datasets = {training.request.dataset.key for training in (*plan.trainings.values(), *held_out.values())}
    assert len(datasets) == 5


def test_a_member_has_numbers_seeds_and_a_key_of_its_own(start: Path, tmp_path: Path) -> None:
    plan = planned(start, tmp_path / "search")
    steps = (0.01, 0.02, 0.03)
    members = [plan.member(number, 0, moved(plan, step)) for step in steps for number in (1, 2, 3)]
    members = pickle.loads(pickle.dumps(members))
    for member in members:
        objective = member.request.objective
        assert objective.lam == 2.0
        assert objective == plan.genome.objective(member.numbers)
        assert member.request.seed == member.training_seed
        assert member.request.dataset == plan.trainings[plan.dataset_seed(member.generation)].request.dataset
    assert len({member.request.key for member in members}) == len(members)
    again = plan.member(1, 0, moved(plan, steps[0]))
    assert again.request.key == members[0].request.key


def test_a_pair_shares_its_seeds_and_generations_take_turns_with_datasets(tmp_path: Path) -> None:
    plan = planned(None, tmp_path / "search")
    pairs = plan.search.population // 2
    seeds = [[plan.member_seed(number, index) for index in range(2 * pairs)] for number in (1, 2, 3)]
    for row in seeds:
        assert row[:pairs] == row[pairs:]
    assert len({seed for row in seeds for seed in row}) == 3 * pairs
    assert [plan.dataset_seed(number) - 2 * SEEDS for number in (1, 2, 3, 4)] == [0, 1, 0, 1]


def test_the_key_names_the_start_and_not_its_path(start: Path, tmp_path: Path) -> None:
    plan = planned(start, tmp_path / "one")
    other = tmp_path / "elsewhere.json"
    save_objective(other, one_step(lam=2.0), "1s-mpo", name="elsewhere", summary="The same numbers")
    assert planned(other, tmp_path / "two").key == plan.key
    assert planned(None, tmp_path / "three").key != plan.key
    assert planned(start, tmp_path / "four", ("g",)).key != plan.key
    with pytest.raises(RequestError, match="it began elsewhere"):
        planned(None, tmp_path / "one")
