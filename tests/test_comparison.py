"""Results against the paper: correlations by independent computation, names, and what the page and the command say."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_samples import OWN_NAMES, published, runs
from scipy import stats
from test_leaderboard import cell, cells
from typer.testing import CliRunner

from mpobench.cli.compare import app
from mpobench.comparison.agreement import agreement, kendall, spearman
from mpobench.comparison.compare import compare
from mpobench.comparison.comparison_page import comparison_page
from mpobench.comparison.means import own_means, published_means, rows_by_paper
from mpobench.comparison.reference import reference
from mpobench.errors import RequestError
from mpobench.leaderboard.standings import standings
from mpobench.results.cell_result import CellResult
from mpobench.results.store import write_jsonl

PAPER = reference()


def page_of(results: list[CellResult]) -> str:
    return comparison_page(compare(results, PAPER), PAPER)


# --- the paper's tables -----------------------------------------------------------------------------------


def test_the_tables_are_the_papers() -> None:
    tla, hopper = PAPER.tables["tla"], PAPER.tables["hopper"]
    assert (tla["simpo", "noisy:0.3"].mean, tla["simpo", "noisy:0.3"].standard_error) == (-3828, 341)
    assert (hopper["cpo", "base"].mean, hopper["cpo", "base"].standard_error) == (2078, 12)
    # Table 1: 22 objectives on 4 columns; Table 5 adds a column for all but TA-MPO, and kto and fdpo but for mixed.
    assert len(tla) == 22 * 4 + 19 + 2 * 4
    assert len(hopper) == 5 * 3


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("dpo", "dpo"),
        ("dpo:beta=10", "dpo"),
        ("tampo", "tampo[schedule=quadratic]"),
        ("tampo:beta=0.1,gamma=2,schedule=linear", "tampo[schedule=linear]"),
        ("fdpo", "fdpo[divergence=jensen_shannon]"),
        ("fdpo:divergence=alpha", "fdpo[divergence=alpha]"),
        ("tampo-noisy-0.1", "1s-mpo[g=learned,discovered=noisy:0.1]"),
        ("./found/objective.json", "./found/objective.json"),
    ],
)
def test_our_names_of_the_papers_objectives(spec: str, name: str) -> None:
    assert PAPER.objective_of(spec) == name


def test_every_name_in_the_mapping_is_in_the_tables() -> None:
    there = {objective for objective, _ in PAPER.tables["tla"]}
    assert set(PAPER.discovered.values()) <= there
    assert {PAPER.objective_of(name) for name in PAPER.variants} <= there
    assert set(PAPER.targets) == set(PAPER.tables)


def test_an_environment_is_the_papers_by_its_name() -> None:
    assert [PAPER.env_of(spec) for spec in ("tla", "tla:std=learned", "ant", "tla2")] == [
        "tla",
        "tla",
        None,
        None,
    ]


# --- correlations -----------------------------------------------------------------------------------------

pairs = st.integers(3, 9).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(-5, 5), min_size=n, max_size=n) for _ in range(2)])
)


@settings(deadline=None)
@given(pair=pairs)
def test_coefficients_are_scipys(pair: tuple[list[int], list[int]]) -> None:
    x, y = (np.array(side, float) for side in pair)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert math.isnan(spearman(x, y))
        assert math.isnan(kendall(x, y))
        return
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert kendall(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    both = [np.stack([side, side[::-1], -side]) for side in (x, y)]  # three draws at once
    np.testing.assert_allclose(spearman(*both), spearman(x, y))
    np.testing.assert_allclose(kendall(*both), kendall(x, y))


def test_kendall_counts_pairs_that_agree() -> None:
    x, y = np.array([4.0, 1.0, 3.0, 2.0]), np.array([40.0, 20.0, 30.0, 10.0])
    agree = [math.copysign(1, (x[a] - x[b]) * (y[a] - y[b])) for a, b in itertools.combinations(range(4), 2)]
    assert kendall(x, y) == pytest.approx(sum(agree) / len(agree))


def test_means_are_drawn_as_they_say() -> None:
    theirs = published_means(PAPER.tables["tla"], 20_000)["simpo", "noisy:0.3"]
    assert theirs.mean == -3828
    assert theirs.values[1:].std() == pytest.approx(341, rel=0.03)
    assert theirs.values[1:].mean() == pytest.approx(-3828, abs=10)
    (section,) = standings(runs({("dpo", "base"): 3000.0, ("ipo", "base"): 2000.0}, spread=100))
    rows, _ = rows_by_paper(section, "tla", PAPER)
    ours = own_means(rows, section.columns, 20_000)["dpo", "base"]
    assert ours.mean == pytest.approx(3000)
    deviations = np.std(list(rows["dpo"].entries["base"].by_seed.values()))
    assert ours.values[1:].std() == pytest.approx(deviations / math.sqrt(10), rel=0.03)
    assert ours.n == 10


def test_the_papers_own_means_agree_with_it() -> None:
    (compared,) = compare(runs(published()), PAPER)
    assert [each.corruption for each in compared.agreements] == [
        "base",
        "mixed",
        "noisy:0.1",
        "noisy:0.2",
        "noisy:0.3",
    ]
    for each in compared.agreements:
        assert each.spearman is not None
        assert each.kendall is not None
        assert (each.spearman.value, each.kendall.value) == (pytest.approx(1), pytest.approx(1))
        assert all(ranked.ours == ranked.theirs for ranked in each.ranked)
        assert each.spearman.interval is not None
        assert 0.6 < each.spearman.interval.low < each.spearman.interval.high <= 1
    assert [len(each.ranked) for each in compared.agreements] == [24, 22, 24, 21, 24]


def test_the_reverse_order_disagrees_most() -> None:
    reversed_ = {place: -mean for place, mean in published().items() if place[1] == "base"}
    (compared,) = compare(runs(reversed_), PAPER)
    (each,) = compared.agreements
    assert each.spearman is not None
    assert each.spearman.value == pytest.approx(-1)
    distances = [abs(ranked.ours - ranked.theirs) for ranked in each.ranked]
    assert distances == sorted(distances, reverse=True)
    first = each.ranked[0]
    assert {first.ours, first.theirs} == {1, len(each.ranked)}


def test_a_raised_mean_never_lowers_its_rank() -> None:
    means = {place: mean for place, mean in published().items() if place[1] == "base"}
    before = {r.objective: r.ours for r in compare(runs(means), PAPER)[0].agreements[0].ranked}
    means["kto", "base"] += 1500
    after = {r.objective: r.ours for r in compare(runs(means), PAPER)[0].agreements[0].ranked}
    assert after["kto"] < before["kto"]
    assert all(after[name] >= before[name] for name in before if name != "kto")


# --- what is compared -------------------------------------------------------------------------------------


def test_each_protocol_has_a_section_of_its_own() -> None:
    means = {place: mean for place, mean in published().items() if place[1] == "base"}
    results = [
        *runs(means),
        *runs(means, env="tla:std=learned"),
        *runs(means, env="tla:std=learned", evaluator="return-at-agents-std"),
        *runs(means, env="ant"),
    ]
    page = page_of(results)
    assert re.findall("^## (.*)$", page, re.M) == [
        "`tla`, `return`, paper scale",
        "`tla:std=learned`, `return`, paper scale",
        "`tla:std=learned`, `return-at-agents-std`, paper scale",
        "`tla:std=learned`, paper scale: acting better, or less noisily",
    ]
    assert page.count("### Claims") == 3
    assert page.count("SFT terms buy robustness") == 4


def test_fewer_than_three_objectives_are_said() -> None:
    page = page_of([*cells("dpo", 3000, 5), *cells("ipo", 2000, 5), *cells("idle", 2000, 5)])
    assert re.search(r"\| `base` +\| +2 \| +– \| +– \| too few to compare orders: 3 are needed", page)


def test_tied_objectives_have_no_correlation() -> None:
    means = published_means(PAPER.tables["tla"], 50)
    results = [result for name in ("dpo", "ipo", "cpo") for result in cells(name, 3000, 0)]
    (section,) = standings(results)
    rows, _ = rows_by_paper(section, "tla", PAPER)
    each = agreement("base", own_means(rows, ("base",), 50), means)
    assert each.spearman is None
    assert each.kendall is None


def test_unfinished_cells_do_not_count() -> None:
    means = {place: mean for place, mean in published().items() if place[1] == "base"}
    config = {"evaluation": {"target": 4000.0}}
    lost = cell("sft", seed=77, status="diverged", reason="nan", config=config)
    (compared,) = compare([*runs(means), lost], PAPER)
    assert "sft" not in {ranked.objective for ranked in compared.agreements[0].ranked}


def test_of_several_rows_with_one_name_the_one_without_hyperparameters_counts() -> None:
    results = [*cells("dpo", 3000, 5), *cells("dpo:beta=3", 9000, 5), *cells("ipo:tau=1", 2000, 5)]
    (section,) = standings(results)
    rows, ambiguous = rows_by_paper(section, "tla", PAPER)
    assert {name: row.objective for name, row in rows.items()} == {"dpo": "dpo", "ipo": "ipo:tau=1"}
    assert not ambiguous
    page = page_of([*results, *cells("ipo:tau=2", 2000, 5)])
    assert "Left out, because not exactly one row is the paper's `ipo`: `ipo:tau=1`, `ipo:tau=2`." in page


def test_a_field_that_makes_another_objective_counts_wherever_it_was_set() -> None:
    def trained(schedule: str, corruption: str) -> list[CellResult]:
        config = {"objective": {"fields": {"schedule": schedule, "beta": 0.1}}}
        return cells("tampo", 3000, 5, corruption, config=config)

    (section,) = standings([*trained("linear", "base"), *trained("linear", "mixed")])
    rows, ambiguous = rows_by_paper(section, "tla", PAPER)
    assert (set(rows), ambiguous) == ({"tampo[schedule=linear]"}, {})
    (section,) = standings([*trained("linear", "base"), *trained("sigmoid", "mixed")])
    rows, ambiguous = rows_by_paper(section, "tla", PAPER)
    assert not rows
    assert set(ambiguous) == {"tampo[schedule=linear]", "tampo[schedule=sigmoid]"}


def test_what_the_paper_does_not_have_is_not_left_out() -> None:
    (section,) = standings([*cells("cdpo:beta=1", 3000, 5), *cells("cdpo:beta=2", 3000, 5)])
    assert rows_by_paper(section, "tla", PAPER) == ({}, {})


def test_returns_stand_side_by_side() -> None:
    page = page_of(list(runs(published())))
    assert "share of the target agent's return, 4000 here and 3900 in the paper" in page
    (line,) = (line for line in page.split("### Returns")[1].splitlines() if line.startswith("| `simpo`"))
    shown = [text.strip() for text in line.strip("|").split("|")]
    assert re.fullmatch(r"3683 ± \d+ \(92 %\)", shown[1])
    assert shown[2] == "3683 ± 78 (94 %)"
    assert re.fullmatch(r"-3828 ± \d+ \(-96 %\)", shown[-2])
    assert shown[-1] == "-3828 ± 341 (-98 %)"


def test_without_a_target_or_with_two_there_is_no_share() -> None:
    several = [*runs({("dpo", "base"): 3000.0}), *runs({("ipo", "base"): 3000.0}, target=5000)]
    for results in (several, [*cells("dpo", 3000, 5)]):
        page = page_of(results)
        assert "%)" not in page.split("### Returns")[1].split("---")[0]


@settings(deadline=None, max_examples=5)
@given(data=st.data())
def test_the_order_of_results_does_not_matter(data: st.DataObject) -> None:
    means = {place: mean for place, mean in published().items() if place[1] in ("base", "noisy:0.3")}
    results = list(runs(means, seeds=2))
    assert page_of(results) == page_of(data.draw(st.permutations(results)))


# --- the command ------------------------------------------------------------------------------------------


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_takes_several_results_and_writes_a_page(tmp_path: Path) -> None:
    means = published()
    first, second, output = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "page.md"
    results = list(runs(means))
    write_jsonl(results[:500], first)
    write_jsonl(results[400:], second)
    assert invoke("--results", first, "--results", second, "--output", output).exit_code == 0
    assert output.read_text() == page_of(results)
    assert invoke("--results", first, "--results", second, "--title", "A\nB").stdout.startswith("# A B\n")


def test_a_damaged_line_is_told_and_the_rest_compared(tmp_path: Path) -> None:
    results = tmp_path / "a.jsonl"
    write_jsonl(cells("dpo", 3000, 5), results)
    results.write_bytes(results.read_bytes() + b"{\n")
    outcome = invoke("--results", results)
    assert outcome.exit_code == 1
    assert outcome.stdout.startswith("# Against the paper")
    assert outcome.stderr.startswith(f"mpobench: warning: {results}, line 3 is truncated")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no results at results"),
        (["--results", "nowhere.jsonl"], "no results at nowhere.jsonl"),
        (["--results", "empty"], "no results in empty: make some"),
        (["--results", "ant.jsonl"], "nothing to compare: the paper has tla and hopper, and the results no"),
        (["--results", "other.jsonl"], r"nothing to compare: .* \(environments of the results: tla\)"),
    ],
)
def test_bad_requests_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_jsonl([cell("dpo", env="ant")], Path("ant.jsonl"))
    write_jsonl([cell("idle"), cell("dpo", "bad-judge:500")], Path("other.jsonl"))
    outcome = invoke(*arguments)
    assert isinstance(outcome.exception, RequestError)
    assert re.search(message, str(outcome.exception))
    assert "\n" not in str(outcome.exception)


def test_the_samples_name_what_the_paper_names() -> None:
    for there, here in OWN_NAMES.items():
        assert PAPER.objective_of(here) == there
