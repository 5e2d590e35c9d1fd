"""The best of a column: paired t tests and Holm's correction against independent computation, and their properties."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from test_leaderboard import cell, cells, row

from mpobench.leaderboard.best_sets import best
from mpobench.leaderboard.page import Leaderboard
from mpobench.leaderboard.significance import holm, p_values
from mpobench.leaderboard.standings import standings
from mpobench.results.cell_result import CellResult

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=12)
BySeed = dict[int, float]


def by_seed(*values: float) -> BySeed:
    return dict(enumerate(values))


def test_holm_on_a_known_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(values=probabilities)
def test_holm_rejects_as_its_step_down_procedure_does(values: list[float]) -> None:
    """The other definition: from the smallest on, compare with level/(hypotheses left), until one is not below."""
    level, adjusted = 0.05, holm(values)
    rejected = set()
    for step, at in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        if values[at] * (len(values) - step) > level:
            break
        rejected.add(at)
    assert {at for at, p in enumerate(adjusted) if p <= level} == rejected
    assert all(p <= a <= 1 for p, a in zip(values, adjusted, strict=True))


def test_p_values_are_those_of_the_t_statistic() -> None:
    first, second = [10.0, 12.0, 15.0, 11.0], [9.0, 12.5, 11.0, 8.0]
    differences = np.subtract(first, second)
    t = differences.mean() / (differences.std(ddof=1) / math.sqrt(4))
    expected = 2 * stats.t.sf(abs(t), 3)
    assert p_values(by_seed(*first), [by_seed(*second)]) == pytest.approx([expected])


def test_only_shared_seeds_are_paired() -> None:
    top = by_seed(10.0, 12.0, 15.0, 11.0)
    fewer = {1: 11.0, 2: 11.0, 3: 10.5, 9: 1e9}
    expected = stats.ttest_rel([12.0, 15.0, 11.0], [11.0, 11.0, 10.5]).pvalue
    assert p_values(top, [fewer, by_seed(9.0, 12.5, 11.0, 8.0)])[0] == pytest.approx(expected)


def test_one_that_is_not_worse_on_the_shared_seeds_is_not_called_worse() -> None:
    """The best has its lead from seeds that the other does not have."""
    top = {0: 10.0, 1: 11.0, 2: 12.0, 3: 900.0}
    assert p_values(top, [{0: 15.0, 1: 16.1, 2: 16.9}]) == [1.0]


def test_seeds_that_are_not_shared_are_tested_unpaired() -> None:
    top, other = {0: 10.0, 1: 12.0, 2: 11.0}, {2: 7.0, 3: 9.0, 4: 8.0, 5: 8.0}
    expected = stats.ttest_ind(list(top.values()), list(other.values()), equal_var=False).pvalue
    assert p_values(top, [other]) == pytest.approx([expected])


@pytest.mark.parametrize(
    ("top", "other", "p"),
    [
        (by_seed(3.0, 4.0), by_seed(3.0, 4.0), 1.0),
        (by_seed(3.0, 4.0), by_seed(2.0, 3.0), 0.0),
        ({0: 3.0, 1: 3.0}, {2: 3.0, 3: 3.0}, 1.0),
        ({0: 3.0, 1: 3.0}, {2: 2.0, 3: 2.0}, 0.0),
        ({0: 3.0, 1: 4.0}, {0: 2.0}, 1.0),
    ],
)
def test_differences_without_spread(top: BySeed, other: BySeed, p: float) -> None:
    assert p_values(top, [other]) == [p]


@pytest.mark.parametrize("seeds", [3, 10, 25])
def test_the_family_wise_error_is_kept_where_all_are_equal(seeds: int) -> None:
    """Of ten equal objectives, the first is excluded from the best set in about 5 % of tables at most."""
    rng = np.random.default_rng(0)
    tables, excluded = 400, 0
    for _ in range(tables):
        scores = rng.normal(size=(10, seeds)) + rng.normal(size=seeds)  # a shared part per seed
        order = np.argsort(-scores.mean(axis=1))
        adjusted = holm(p_values(by_seed(*scores[order[0]]), [by_seed(*scores[at]) for at in order[1:]]))
        excluded += any(at == 0 and p <= 0.05 for at, p in zip(order[1:], adjusted, strict=True))
    assert excluded / tables < 0.05 + 2 * math.sqrt(0.05 * 0.95 / tables)


def column(objective: str, scores: list[float], **changes: object) -> list[CellResult]:
    return [cell(objective, seed=seed, value=score, **changes) for seed, score in enumerate(scores)]


def names(results: list[CellResult], **options: object) -> set[str]:
    (section,) = standings(results)
    return {each.objective for each in best(section, "base", **options)}


NOISE = [120.0, -80.0, 40.0, -10.0, 90.0, -160.0, 20.0, -20.0]


def test_a_difference_that_every_seed_shows_is_significant_though_intervals_overlap() -> None:
    better = column("dpo", [3000 + noise for noise in NOISE])
    worse = column("ipo", [2960 + noise + 3 * (-1) ** at for at, noise in enumerate(NOISE)])
    assert names([*better, *worse], rule="overlap") == {"dpo", "ipo"}
    assert names([*better, *worse]) == {"dpo"}


def test_more_than_two_can_be_the_best() -> None:
    rng = random.Random(1)
    alike = [
        result
        for name in ("dpo", "ipo", "cpo")
        for result in column(name, [3000 + noise + rng.gauss(0, 100) for noise in NOISE])
    ]
    far = column("sft", [1000 + noise for noise in NOISE])
    assert names([*alike, *far]) == {"dpo", "ipo", "cpo"}
    page = Leaderboard.of([*alike, *far]).markdown()
    assert [row(page, name)[0].startswith("**<u>") for name in ("dpo", "ipo", "cpo", "sft")] == [True] * 3 + [
        False
    ]


def test_the_human_designed_compete_among_themselves() -> None:
    found = column("evolved", [5000 + noise for noise in NOISE], origin="discovered")
    human = column("dpo", [3000 - noise for noise in NOISE])
    assert names([*found, *human]) == {"evolved"}
    assert names([*found, *human], origins=["human"]) == {"dpo"}


def test_less_is_better_turns_the_order_round() -> None:
    low = column("dpo", [10 + noise / 100 for noise in NOISE], higher_is_better=False)
    high = column("ipo", [30 - noise / 100 for noise in NOISE], higher_is_better=False)
    assert names([*low, *high]) == {"dpo"}


def test_what_did_not_finish_and_single_seeds_do_not_compete() -> None:
    lost = [*cells("dpo", 9000, 5), cell("dpo", seed=2, status="error", reason="boom")]
    single = [cell("cpo", value=9000.0)]
    assert names([*lost, *single, *cells("ipo", 1000, 5)]) == {"ipo"}
    assert names(single) == set()


@settings(deadline=None, max_examples=40)
@given(
    scores=st.lists(
        st.lists(st.floats(-1e4, 1e4).map(lambda x: round(x, 3)), min_size=4, max_size=4),
        min_size=2,
        max_size=6,
    ),
    data=st.data(),
)
def test_the_best_mean_is_in_whatever_the_order_of_results(
    scores: list[list[float]], data: st.DataObject
) -> None:
    results = list(
        itertools.chain.from_iterable(column(f"dpo:beta={at}", each) for at, each in enumerate(scores))
    )
    marked = names(results)
    assert marked == names(data.draw(st.permutations(results)))
    (section,) = standings(results)
    estimates = {each.objective: each.entries["base"].estimate for each in section.rows}
    top = max(estimate.mean for estimate in estimates.values() if estimate)
    assert any(estimates[name].mean == top for name in marked)  # type: ignore[union-attr]
