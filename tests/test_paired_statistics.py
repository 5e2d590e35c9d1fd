"""The bootstrap of seeds and what is made of it: against scipy's own bootstrap, brute force, and properties."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from test_leaderboard import cell

from mpobench.leaderboard.overall import overall, probability_of_improvement
from mpobench.leaderboard.page import Leaderboard
from mpobench.leaderboard.paired import behind, kept, leader
from mpobench.leaderboard.profiles import profiles, scores
from mpobench.leaderboard.resampling import expanded_tail, interval, resampled_means, seed_weights
from mpobench.leaderboard.standings import Row, Section, standings
from mpobench.leaderboard.statistics import Interval
from mpobench.results.cell_result import CellResult

SEEDS = tuple(range(10))
rng = np.random.default_rng(7)
SHARED = rng.normal(0, 200, 10)
"""What a seed's dataset does to all objectives alike."""


def table(**rows: dict[str, Any]) -> list[CellResult]:
    return [
        cell(objective, corruption, seed, value=float(value))
        for objective, columns in rows.items()
        for corruption, values in columns.items()
        for seed, value in enumerate(values)
    ]


def section_of(results: list[CellResult]) -> Section:
    (section,) = standings(results)
    return section


def row_of(section: Section, objective: str) -> Row:
    (row,) = (row for row in section.rows if row.objective == objective)
    return row


# --- the bootstrap ----------------------------------------------------------------------------------------


def test_weights_are_shares_and_belong_to_the_seeds() -> None:
    weights = seed_weights(SEEDS, 3000)
    assert weights.shape == (3000, 10)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert set(np.unique(weights * 10)) <= set(range(11))
    np.testing.assert_allclose(weights.mean(axis=0), 0.1, atol=0.01)
    assert weights is seed_weights(SEEDS, 3000)
    assert not np.array_equal(weights, seed_weights(tuple(range(1, 11)), 3000))
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1


def test_resampled_means_are_distributed_as_scipys() -> None:
    values = dict(zip(SEEDS, rng.exponential(100, 10), strict=True))
    ours = np.sort(resampled_means(values, 20_000))
    theirs = stats.bootstrap(
        (list(values.values()),),
        np.mean,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    theirs = np.sort(theirs.bootstrap_distribution)
    assert stats.ks_2samp(ours, theirs).statistic < 0.02
    assert ours.mean() == pytest.approx(np.mean(list(values.values())), rel=0.01)


@given(value=st.floats(-1e12, 1e12), n=st.integers(1, 12))
def test_equal_values_have_no_spread(value: float, n: int) -> None:
    assert set(resampled_means(dict.fromkeys(range(n), value), 50)) == {value}


def test_the_tail_of_many_seeds_is_the_usual_one_and_that_of_few_smaller() -> None:
    assert expanded_tail(100_000) == pytest.approx(0.025, abs=1e-4)
    tails = [expanded_tail(n) for n in range(2, 60)]
    assert tails == sorted(tails)
    # n = 10 by hand: z = sqrt(10/9) · 2.262157
    assert expanded_tail(10) == pytest.approx(stats.norm.cdf(-math.sqrt(10 / 9) * 2.262157), rel=1e-4)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    for n, least in ((5, 0.85), (10, 0.91), (25, 0.92)):
        draws = np.random.default_rng(n).normal(3.0, 1.0, size=(400, n))
        covered = 0
        for values in draws:
            found = interval(resampled_means(dict(enumerate(values)), 1000), n)
            assert found is not None
            covered += found.low <= 3.0 <= found.high
        assert least <= covered / 400 <= 0.985, (n, covered)


def test_a_single_seed_has_no_interval_and_a_distribution_plain_percentiles() -> None:
    assert interval(np.zeros(10), 1) is None
    found = interval(np.arange(1001.0), None)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((25.0, 975.0))


# --- paired by seed ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two() -> Section:
    return section_of(
        table(
            dpo={"base": 3000 + SHARED, "noisy:0.3": 1500 + SHARED / 2},
            sft={"base": 2900 + SHARED + 5 * (-1.0) ** np.arange(10), "noisy:0.3": 2000 + SHARED},
        )
    )


def test_the_distance_to_the_best_is_paired(two: Section) -> None:
    best = leader(two, "base")
    assert best is row_of(two, "dpo")
    found = behind(two, "base", row_of(two, "sft"), best)
    assert found is not None
    assert found.value == pytest.approx(-100)
    assert found.interval is not None
    # Unpaired, the standard error would be about 90.
    assert -105 < found.interval.low < found.value < found.interval.high < -95
    t = stats.ttest_1samp(5 * (-1.0) ** np.arange(10) - 100, 0).confidence_interval(0.95)
    assert [found.interval.low, found.interval.high] == pytest.approx([t.low, t.high], abs=1)


def test_what_is_kept_is_a_ratio_of_means(two: Section) -> None:
    found = kept(two, "noisy:0.3", row_of(two, "sft"))
    assert found is not None
    clean = np.mean(2900 + SHARED + 5 * (-1.0) ** np.arange(10))
    assert found.value == pytest.approx(100 * np.mean(2000 + SHARED) / clean)
    reference = stats.bootstrap(
        (2000 + SHARED, 2900 + SHARED + 5 * (-1.0) ** np.arange(10)),
        lambda above, below, axis=-1: 100 * above.mean(axis) / below.mean(axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        confidence_level=1 - 2 * expanded_tail(10),
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert found.interval is not None
    assert [found.interval.low, found.interval.high] == pytest.approx(list(reference), abs=0.4)


def test_a_ratio_to_almost_nothing_is_not_told() -> None:
    section = section_of(table(dpo={"base": [10, -10, 20, -5], "mixed": [5, 6, 7, 8]}))
    assert kept(section, "mixed", section.rows[0]) is None
    worse = section_of(
        [
            cell("dpo", corruption, seed, value=5.0, higher_is_better=False)
            for corruption in ("base", "mixed")
            for seed in range(3)
        ]
    )
    assert kept(worse, "mixed", worse.rows[0]) is None


def test_only_shared_seeds_are_compared_and_lost_ones_leave_a_dash() -> None:
    results = [
        *table(dpo={"base": 3000 + SHARED}, sft={"base": (2900 + SHARED)[:4]}),
        *table(ipo={"base": (2000 + SHARED)[:9]}),
        cell("ipo", seed=9, status="diverged", reason="nan"),
    ]
    section = section_of(results)
    best = leader(section, "base")
    assert best is not None
    found = behind(section, "base", row_of(section, "sft"), best)
    assert found is not None
    assert found.value == pytest.approx(-100)
    assert behind(section, "base", row_of(section, "ipo"), best) is None
    assert kept(section, "base", row_of(section, "ipo")) is None


# --- over all corruptions ---------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    first=st.lists(st.integers(0, 6), min_size=1, max_size=9),
    second=st.lists(st.integers(0, 6), min_size=1, max_size=9),
)
def test_probability_of_improvement_counts_pairs(first: list[int], second: list[int]) -> None:
    pairs = list(itertools.product(first, second))
    expected = sum((x > y) + (x == y) / 2 for x, y in pairs) / len(pairs)
    x, y = np.array(first, float), np.array(second, float)
    equal = (np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y)))
    found = probability_of_improvement(x, y, *equal)
    assert found == pytest.approx(expected)
    assert found == pytest.approx(stats.mannwhitneyu(x, y).statistic / len(pairs))
    assert probability_of_improvement(y, x, *equal[::-1]) == pytest.approx(1 - expected)


def test_probability_of_improvement_of_weighted_runs_is_that_of_repeated_runs() -> None:
    x, y = np.array([1.0, 5.0, 3.0]), np.array([2.0, 5.0, 4.0])
    weights = seed_weights((0, 1, 2), 40)
    found = probability_of_improvement(x, y, weights, weights)
    for at, counts in enumerate(np.rint(weights * 3).astype(int)):
        repeated = np.repeat(x, counts), np.repeat(y, counts)
        assert found[at] == pytest.approx(stats.mannwhitneyu(*repeated).statistic / 9)


@pytest.fixture(scope="module")
def three() -> Section:
    noise = np.random.default_rng(3).normal(0, 60, (3, 2, 10))
    return section_of(
        table(
            dpo={"base": 3000 + SHARED + noise[0, 0], "mixed": 1000 + SHARED + noise[0, 1]},
            sft={"base": 2980 + SHARED + noise[1, 0], "mixed": 2000 + SHARED + noise[1, 1]},
            ipo={"base": 100 + noise[2, 0], "mixed": 100 + noise[2, 1]},
        )
    )


def test_mean_ranks_and_their_intervals(three: Section) -> None:
    found = {entry.row.objective: entry for entry in overall(three)}
    means = {name: [found[name].row.entries[c].estimate.mean for c in ("base", "mixed")] for name in found}  # type: ignore[union-attr]
    ranks = np.mean(stats.rankdata(-np.array(list(means.values())), axis=0), axis=1)
    assert [found[name].rank.value for name in means] == pytest.approx(list(ranks))  # type: ignore[union-attr]
    assert found["ipo"].rank is not None
    assert found["ipo"].rank.interval == Interval(3.0, 3.0)  # last in every sample
    assert found["dpo"].rank is not None
    assert found["dpo"].rank.interval == Interval(1.5, 2.0)  # second on mixed; first or second on base
    assert {entry.n for entry in found.values()} == {20}


def test_improvement_is_over_cloning(three: Section) -> None:
    found = {entry.row.objective: entry.improvement for entry in overall(three)}
    assert found["sft"] is None
    ipo, dpo = found["ipo"], found["dpo"]
    assert ipo is not None
    assert dpo is not None
    assert (ipo.value, ipo.interval) == (0.0, Interval(0.0, 0.0))
    cells = [
        [list(row_of(three, name).entries[c].by_seed.values()) for name in ("dpo", "sft")]
        for c in ("base", "mixed")
    ]
    assert dpo.value == pytest.approx(np.mean([stats.mannwhitneyu(*pair).statistic / 100 for pair in cells]))
    assert dpo.interval is not None
    assert 0 < dpo.interval.low < dpo.value < dpo.interval.high < 0.6


def test_without_cloning_or_normalised_scores_the_rest_is_still_told() -> None:
    results = [
        cell(name, seed=seed, metrics={"return": float(seed + at)})
        for at, name in enumerate(("dpo", "ipo"))
        for seed in range(3)
    ]
    page = Leaderboard.of(results).markdown()
    assert "mean rank" in page
    assert "IQM" not in page.split("---")[0]
    assert "better than" not in page


def test_less_is_better_ranks_and_improves_the_other_way_round() -> None:
    low, high = (
        [cell(name, seed=seed, value=value + seed, higher_is_better=False) for seed in range(3)]
        for name, value in (("dpo", 1.0), ("sft", 100.0))
    )
    found = {entry.row.objective: entry for entry in overall(section_of([*low, *high]))}
    assert found["dpo"].rank is not None
    assert found["dpo"].rank.value == 1
    assert found["dpo"].improvement is not None
    assert found["dpo"].improvement.value == 1


@settings(deadline=None, max_examples=15)
@given(data=st.data(), better=st.floats(0, 500))
def test_more_return_never_ranks_or_improves_less(data: st.DataObject, better: float) -> None:
    """Raising one objective's returns moves none of its numbers the wrong way, in whatever order the results are."""
    values = {
        name: data.draw(st.lists(st.integers(0, 300), min_size=4, max_size=4)) for name in ("dpo", "sft")
    }
    raised = {**values, "dpo": [value + better for value in values["dpo"]]}
    tables = [table(**{name: {"base": each} for name, each in v.items()}) for v in (values, raised)]
    before, after = (
        {entry.row.objective: entry for entry in overall(section_of(data.draw(st.permutations(each))))}["dpo"]
        for each in tables
    )
    assert before.rank is not None
    assert after.rank is not None
    assert before.improvement is not None
    assert after.improvement is not None
    assert after.rank.value <= before.rank.value
    assert after.improvement.value >= before.improvement.value


# --- performance profiles ---------------------------------------------------------------------------------


def test_a_profile_is_the_share_of_runs_above(three: Section) -> None:
    thresholds = np.linspace(-120, 120, 61)
    for profile in profiles(three, thresholds):
        cells = [profile.row.entries[column].finished for column in ("base", "mixed")]
        for at, tau in enumerate(thresholds):
            shares = [np.mean([r.metrics["normalised_score"] > tau for r in each]) for each in cells]
            assert profile.shares[at] == pytest.approx(np.mean(shares))
        assert np.all(np.diff(profile.shares) <= 0)
        assert np.all(profile.low <= profile.shares + 1e-12)
        assert np.all(profile.shares <= profile.high + 1e-12)
    assert len(scores(three)) == 60


def test_profiles_leave_out_what_did_not_finish_and_single_seeds_have_no_band() -> None:
    lost = cell("ipo", seed=1, status="diverged", reason="nan")
    (profile,) = profiles(section_of([cell("dpo"), cell("ipo"), lost]), np.array([-1000.0, 1000.0]))
    assert profile.row.objective == "dpo"
    assert profile.low is None
    np.testing.assert_array_equal(profile.shares, [1, 0])


# --- the page ---------------------------------------------------------------------------------------------


def test_the_page_says_all_of_it(two: Section) -> None:
    page = Leaderboard((two,), "").markdown()
    assert "| objective   |  mean rank" not in page  # there are normalised scores, which come first
    assert "better than `sft`" in page
    behind_table = page.split("Behind the best mean of the column")[1].split("Kept")[0]
    assert re.search(r"\| `dpo` +\| +best \| -480 \(-5\d\d to -4\d\d\) \|", behind_table)
    assert re.search(r"\| `sft` +\| -100 \(-10\d to -9\d\) \| +best \|", behind_table)
    kept_table = page.split("Kept under corruption: return in percent of that on `base`")[1]
    assert "| `dpo`       | 50 (" in kept_table
    assert "Hesterberg" in page


def test_large_tables_say_that_they_take_fewer_samples() -> None:
    results = [cell("dpo", seed=seed, value=1000.0 + seed % 7) for seed in range(10_001)]
    section = section_of(results)
    assert section.resamples == 500
    assert f"intervals are of {section.resamples} resamples" in Leaderboard.of(results).markdown()
