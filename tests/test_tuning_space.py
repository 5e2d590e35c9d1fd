"""The parts of tuning: the space, the race and the proposals."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuning_samples import REGISTRY, SMALL, study_of, suite_of, tuned_in, with_toys

from mpobench.errors import RequestError
from mpobench.protocols import SearchChoices, SearchRange, searched
from mpobench.registry.registry import Registry
from mpobench.tuning.journal import Journal
from mpobench.tuning.proposals import propose
from mpobench.tuning.relevance import is_read
from mpobench.tuning.settings import Tuning
from mpobench.tuning.space import Dimension, Space
from mpobench.tuning.study import plan_studies
from mpobench.tuning.trial import BATCH, Trial, best, promoted, trainings_of_batch


def keys(objective: str, **fields: Any) -> list[str]:
    return [dimension.key for dimension in study_of(objective, **fields).space.dimensions]


def test_declared_ranges_are_searched_but_for_what_is_stated() -> None:
    assert keys("simpo") == ["beta", "gamma", "training.learning_rate"]
    assert keys("simpo:gamma=1") == ["beta", "training.learning_rate"], "stated, if with the default"
    assert keys("simpo", training={"learning_rate": 1.0}) == ["beta", "gamma"]
    beta, gamma, rate = study_of("simpo").space.dimensions
    assert beta.search == SearchRange(0.001, 1000.0, log=True)
    assert rate.search == SearchRange(0.01, 10.0, log=True)
    assert (beta.default, gamma.default, rate.default) == (2.0, 1.0, 0.5)


def test_fields_that_the_loss_does_not_read_are_left_out() -> None:
    assert "q" not in keys("tampo"), "of no Tsallis entropy"
    assert keys("tampo:phi=tsallis") == ["beta", "q", "gamma", "training.learning_rate"]
    assert "alpha" not in keys("fdpo:divergence=forward_kl")
    assert "alpha" in keys("fdpo:divergence=alpha")


def test_every_published_range_but_those_is_of_a_field_that_is_read() -> None:
    unread = {
        (registered.card.name, name)
        for registered in REGISTRY.cards("objective")
        if registered.source.startswith("mpobench_objectives")
        for objective in [REGISTRY.build("objective", registered.card.name).component]
        for name, info in type(objective).model_fields.items()
        if (search := searched(info)) is not None and not is_read(objective, name, search)
    }
    assert {name for _, name in unread} == {"q", "alpha"}
    assert ("fdpo", "alpha") in unread


def test_an_objective_without_any_range_is_refused() -> None:
    with pytest.raises(RequestError, match="sft on bandit has nothing to tune"):
        study_of("sft", training={"learning_rate": 1.0})


def test_choices_whole_numbers_and_defaults_outside_of_their_range(tmp_path: Path) -> None:
    registry = with_toys()
    done, _ = tuned_in(tmp_path, registry, objectives="choosy", training={"learning_rate": 1.0})
    (curve,) = done.curves
    assert curve.points[0].fields == {"kind": "c", "flag": False, "steps": 3, "gamma": 0.0}, (
        "the defaults first"
    )
    trials = Journal(tmp_path / "tuning").trials(name_of(registry, "choosy"))
    assert {type(trial.point["steps"]) for trial in trials} == {int}
    assert {trial.point["kind"] for trial in trials[1:]} == {"a", "b"}
    assert {trial.point["flag"] for trial in trials[1:]} == {True, False}
    assert all(0.1 <= trial.point["gamma"] <= 10 for trial in trials[1:])
    assert len(trials) == SMALL["trials"]


def name_of(registry: Registry, objective: str) -> str:
    suite = suite_of(objectives=objective, training={"learning_rate": 1.0})
    (study,) = plan_studies(suite, Tuning.of(SMALL, "smoke"), registry).studies
    return study.name


@pytest.mark.parametrize(
    ("search", "value", "end"),
    [
        (SearchRange(0.01, 100.0, log=True), 0.0119, "low"),
        (SearchRange(0.01, 100.0, log=True), 0.0121, None),
        (SearchRange(0.01, 100.0, log=True), 83.0, None),
        (SearchRange(0.01, 100.0, log=True), 84.0, "high"),
        (SearchRange(0.01, 100.0, log=True), 0.0, "low"),
        (SearchRange(-1.0, 1.0), -0.97, "low"),
        (SearchRange(-1.0, 1.0), -0.95, None),
        (SearchRange(-1.0, 1.0), 5.0, "high"),
        (SearchChoices(("a", "b")), "a", None),
    ],
)
def test_an_edge_is_two_per_cent_of_the_range_on_its_own_scale(
    search: Any, value: Any, end: str | None
) -> None:
    line = Dimension("fields", "beta", search, False, value).edge(value)
    assert (line is None) == (end is None)
    if end is not None:
        assert line == f"beta = {value:g} is at the {end} end of {search}"


@given(st.floats(1e-3, 1e6), st.floats(1.01, 1e6), st.floats(), st.booleans())
def test_values_are_brought_into_their_range(low: float, factor: float, value: float, log: bool) -> None:
    dimension = Dimension("fields", "x", SearchRange(low, low * factor, log), False, 1.0)
    if math.isfinite(value):
        assert low <= dimension.within(value) <= low * factor


def trial(*scores: float) -> Trial:
    return Trial({}, scores)


def test_the_best_third_is_promoted_and_nothing_that_diverged() -> None:
    scores = (3.0, math.nan, 7.0, 7.0, 1.0, 2.0, 9.0, 0.0)
    batch = {number: trial(score) for number, score in enumerate(scores)}
    assert promoted(batch) == [2, 3, 6]
    assert promoted({0: trial(math.nan), 1: trial(1.0)}) == [1]
    assert promoted({0: trial(math.nan)}) == []
    assert promoted({}) == []


def test_more_seeds_count_before_higher_means_and_divergence_last() -> None:
    trials = [trial(math.nan, 9.0, 9.0), trial(8.0), trial(2.0, 4.0, 3.0), trial(1.0, 3.0, 2.0)]
    assert best(trials) == 2
    assert best(trials[:2]) == 1
    assert best([trial(1.0), trial(1.0)]) == 0
    assert trainings_of_batch((1, 3, 9)) == 8 + 3 * 2 + 1 * 6


def test_proposals_depend_on_trials_and_seed_alone_and_learn() -> None:
    space = study_of("simpo").space

    def finished(points: list[Any]) -> list[Trial]:
        """Better the nearer β is to 30."""
        return [Trial(point, (-abs(math.log(point["beta"] / 30)),) * 4) for point in points]

    first = propose(space, [], 4, 1)
    assert first[0] == space.default
    assert first == propose(space, [], 4, 1)
    assert first[1:] != propose(space, [], 4, 2)[1:]
    trials = finished(first)
    for seed in range(2, 6):
        trials += finished(propose(space, trials, 4, seed))

    def distance(part: list[Trial]) -> float:
        return sum(-each.mean for each in part) / len(part)

    assert distance(trials[-2 * BATCH :]) < 0.5 * distance(trials[1:BATCH])


def test_trials_that_diverge_repel_proposals() -> None:
    space = study_of("sft").space
    (rate,) = space.dimensions
    trials = [
        Trial({rate.key: value}, (math.nan,) if value > 1 else (value, value, value, value))
        for value in (0.5, 2.0, 3.0, 4.0, 6.0, 8.0, 9.0, 0.3)
    ]
    proposed = [point[rate.key] for seed in range(4) for point in propose(space, trials, 4, seed)]
    assert sum(value < 1 for value in proposed) > 0.7 * len(proposed)


def test_a_space_keeps_what_it_does_not_search() -> None:
    space = study_of("simpo").space
    values = space.values({"beta": 3.0, "gamma": 2.0, "training.learning_rate": 0.1})
    assert (values.fields, values.training) == ({"beta": 3.0, "gamma": 2.0}, {"learning_rate": 0.1})
    assert Space(space.dimensions[:1]).default == {"beta": 2.0}
    assert replace(space.dimensions[0], owner="training").key == "training.beta"
