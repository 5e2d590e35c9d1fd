"""The leaderboard marks what its rule marks, hides nothing, and is a pure function of the results."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpobench.errors import RequestError
from mpobench.leaderboard.best_sets import best
from mpobench.leaderboard.overall import overall
from mpobench.leaderboard.page import Leaderboard
from mpobench.leaderboard.standings import natural, standings
from mpobench.results.cell_result import CellResult


def cell(objective: str, corruption: str = "base", seed: int = 0, **changes: Any) -> CellResult:
    """A finished cell; ``value`` is its return, ``status`` other than ok takes the metrics away."""
    value = changes.pop("value", 1000.0)
    fields: dict[str, Any] = {
        "training_key": "7ea",
        "dataset_key": "da7a",
        "env": "tla",
        "corruption": corruption,
        "objective": objective,
        "evaluator": "return",
        "seed": seed,
        "scale": "paper",
        "origin": "human",
        "plugin": "mpobench 0.1.0",
        "status": "ok",
        "metrics": {"return": value, "normalised_score": (value - 1700) / 22},
        "primary": "return",
        "unit": "return",
        "versions": {"mpobench": "0.1.0", "jax": "0.9.2"},
    }
    fields |= changes
    if fields["status"] != "ok":
        fields |= {"metrics": {}, "primary": "", "unit": ""}
    names = [str(fields[n]) for n in ("env", "objective", "corruption", "evaluator", "scale", "seed")]
    fields.setdefault("key", re.sub(r"[^a-z0-9]", "_", "-".join(names)))
    return CellResult(**fields)


def cells(
    objective: str, mean: float, error: float, corruption: str = "base", **changes: Any
) -> list[CellResult]:
    """Two seeds with exactly this mean and standard error: m - e and m + e."""
    return [
        cell(objective, corruption, seed, value=value, **changes)
        for seed, value in enumerate([mean - error, mean + error])
    ]


def row(page: str, objective: str) -> list[str]:
    """The cells of an objective's row in the first table that has one, without padding."""
    line = next(line for line in page.splitlines() if line.startswith(f"| `{objective}`"))
    return [text.strip() for text in line.strip("|").split("|")][1:]


def first_column(page: str) -> list[str]:
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    return [line.split("|")[1].strip() for line in lines]


# --- marks: the paper's Table 1 ----------------------------------------------------------------------------

# Columns base and noisy:0.3 of Table 1 (mean, standard error), a row of each group.
TABLE_1 = [
    ("simpo", "human", (3683, 78), (-3828, 341)),
    ("ipo", "human", (3618, 44), (1133, 115)),
    ("cpo", "human", (3450, 55), (2000, 35)),
    ("sft", "human", (3287, 62), (2049, 33)),
    ("lpo", "ours", (3774, 102), (1569, 156)),
    ("evolved-1", "discovered", (3789, 60), (3279, 83)),
    ("evolved-2", "discovered", (3861, 79), (1771, 107)),
    ("evolved-3", "discovered", (3931, 69), (3417, 82)),
]


def results_of_table_1() -> list[CellResult]:
    return [
        result
        for objective, origin, *columns in TABLE_1
        for corruption, (mean, error) in zip(["base", "noisy:0.3"], columns, strict=True)
        for result in cells(objective, mean, error, corruption, origin=origin)
    ]


@pytest.fixture
def table_1() -> list[CellResult]:
    return results_of_table_1()


def test_the_papers_rule_on_the_papers_numbers(table_1: list[CellResult]) -> None:
    page = Leaderboard.of(table_1).markdown(best="overlap")
    assert row(page, "simpo") == ["<u>3683 ± 78</u>", "-3828 ± 341"]
    assert row(page, "ipo") == ["<u>3618 ± 44</u>", "1133 ± 115"]
    assert row(page, "cpo") == ["3450 ± 55", "<u>2000 ± 35</u>"]
    assert row(page, "sft") == ["3287 ± 62", "<u>2049 ± 33</u>"]
    assert row(page, "lpo") == ["3774 ± 102", "1569 ± 156"]
    assert row(page, "evolved-1") == ["3789 ± 60", "**3279 ± 83**"]
    assert row(page, "evolved-2") == ["**3861 ± 79**", "1771 ± 107"]
    assert row(page, "evolved-3") == ["**3931 ± 69**", "**3417 ± 82**"]


def test_rows_are_grouped_by_origin_and_ordered_by_mean_rank(table_1: list[CellResult]) -> None:
    human = ["`cpo`", "`simpo`", "`ipo`", "`sft`"]
    ranks = {"`simpo`": 5 + 8, "`ipo`": 6 + 7, "`cpo`": 7 + 4, "`sft`": 8 + 3}
    human.sort(key=lambda name: (ranks[name], natural(name)))
    expected = [
        "objective",
        "*Human-designed*",
        *human,
        "*Ours*",
        "`lpo`",
        "*Discovered*",
        *["`evolved-3`", "`evolved-1`", "`evolved-2`"],
    ]
    assert first_column(Leaderboard.of(table_1).markdown())[: len(expected)] == expected


def test_one_group_needs_no_headings() -> None:
    assert "Human-designed" not in Leaderboard.of([cell("dpo"), cell("ipo")]).markdown()


def test_a_human_designed_winner_has_both_marks() -> None:
    page = Leaderboard.of(
        [*cells("dpo", 2000, 5), *cells("evolved", 1000, 5, origin="discovered")]
    ).markdown()
    assert row(page, "dpo") == ["**<u>2000 ± 5</u>**"]
    assert row(page, "evolved") == ["1000 ± 5"]


def test_the_direction_flips_where_lower_is_better() -> None:
    results = [*cells("dpo", 20, 1, higher_is_better=False), *cells("ipo", 10, 1, higher_is_better=False)]
    page = Leaderboard.of(results).markdown()
    assert row(page, "dpo") == ["20.0 ± 1.0"]
    assert row(page, "ipo") == ["**<u>10.0 ± 1.0</u>**"]
    assert "lower is better" in page
    assert first_column(page)[1] == "`ipo`"


# --- cells that did not finish ----------------------------------------------------------------------------


def test_a_lost_seed_is_told_and_wins_nothing() -> None:
    lost = cell("dpo", seed=2, status="diverged", reason="loss is nan\nat update 7")
    page = Leaderboard.of(
        [*cells("dpo", 9000, 5), lost, *cells("ipo", 1000, 5), cell("ipo", seed=2)]
    ).markdown()
    assert row(page, "dpo") == ["9000 ± 5[^1]"]
    assert row(page, "ipo") == ["**<u>1000 ± 3</u>**"]
    assert "[^1]: 2 of 3 seeds finished; 1 diverged: `loss is nan at update 7`" in page
    assert "Left out, because not all of their cells finished: `dpo`." in page


@pytest.mark.parametrize(
    ("status", "word"), [("skipped", "skipped"), ("diverged", "diverged"), ("error", "failed")]
)
def test_a_cell_without_a_mean_says_why(status: str, word: str) -> None:
    lost = [cell("dpo", "mixed", seed, status=status, reason="no such | pairs") for seed in range(2)]
    page = Leaderboard.of([*lost, *cells("dpo", 1500, 5)]).markdown()
    assert row(page, "dpo") == ["**<u>1500 ± 5</u>**", f"{word}[^1]"]
    assert page.endswith(f"[^1]: 0 of 2 seeds finished; 2 {word}: `no such | pairs`\n")


def test_equal_footnotes_are_one_and_many_reasons_are_counted() -> None:
    same = [cell(name, status="skipped", reason="no pairs") for name in ("dpo", "ipo")]
    other = [cell("cpo", seed=i, status="error", reason=f"reason {i}") for i in range(10)]
    page = Leaderboard.of([*same, *other]).markdown()
    assert row(page, "dpo")[0].removeprefix("skipped") == row(page, "ipo")[0].removeprefix("skipped")
    assert "10 failed: `reason 0`; `reason 1`; `reason 2` and 7 other reasons" in page
    assert "No cell finished" in page


def test_what_was_not_run_is_a_dash() -> None:
    page = Leaderboard.of([*cells("dpo", 1500, 5), *cells("ipo", 1500, 5, "mixed")]).markdown()
    assert row(page, "dpo")[1] == row(page, "ipo")[0] == "–"


# --- numbers of seeds -------------------------------------------------------------------------------------


def test_the_number_of_seeds_is_said_once_where_it_is_the_same() -> None:
    page = Leaderboard.of([*cells("dpo", 1500, 5), *cells("ipo", 1400, 5)]).markdown()
    assert "mean ± standard error over 2 seeds (0–1)." in page
    assert "n=" not in page


def test_the_number_of_seeds_is_said_per_cell_where_it_differs() -> None:
    page = Leaderboard.of([*cells("dpo", 1500, 5), cell("ipo", seed=7, value=9000.0)]).markdown()
    assert "over 3 seeds (0–1, 7), n where stated." in page
    assert row(page, "dpo") == ["**<u>1500 ± 5 (n=2)</u>**"]
    assert row(page, "ipo") == ["9000 (n=1)"]  # a single seed does not beat two


def test_one_seed_has_no_standard_error() -> None:
    page = Leaderboard.of([cell("dpo", value=1500.0), cell("ipo", value=1400.0)]).markdown()
    assert "no standard error from 1 seed (0)." in page
    assert row(page, "dpo") == ["1500"]  # and nothing is told apart
    assert [line for line in page.splitlines() if re.match(r"\| `dpo` +\| +-9.1 +\| +1.0 +\| +1 \|", line)]
    assert "Behind the best" not in page


# --- sections, columns, header ----------------------------------------------------------------------------


def test_environments_evaluators_and_scales_have_tables_of_their_own() -> None:
    places = [
        {"env": "tla", "scale": "quick"},
        {"env": "tla", "scale": "paper"},
        {"env": "hopper", "scale": "paper"},
        {"env": "tla", "scale": "paper", "evaluator": "accuracy"},
    ]
    page = Leaderboard.of([cell("dpo", **place) for place in places]).markdown()
    assert re.findall(r"^## (.*)$", page, re.M) == [
        "`hopper`, `return`, paper scale",
        "`tla`, `accuracy`, paper scale",
        "`tla`, `return`, paper scale",
        "`tla`, `return`, *quick* scale",
    ]
    assert page.count("not numbers to cite") == 1


def test_columns_start_with_base_and_count_naturally() -> None:
    names = ["bad-judge:200", "bad-judge:30", "noisy:0.3", "noisy:0.1", "base", "mixed+noisy:0.1", "mixed"]
    (section,) = standings([cell("dpo", name) for name in names])
    assert section.columns == (
        "base",
        "bad-judge:30",
        "bad-judge:200",
        "mixed",
        "mixed+noisy:0.1",
        "noisy:0.1",
        "noisy:0.3",
    )


def test_the_header_lists_every_version_and_plugin() -> None:
    results = [
        cell("dpo", versions={"mpobench": "0.1.0", "jax": "0.10.0"}),
        cell("ipo", versions={"mpobench": "0.1.0", "jax": "0.9.2"}, plugin="stranger 2.0"),
    ]
    page = Leaderboard.of(results).markdown(title="A\ntitle", reproduce="    mpobench run tla.toml\n")
    assert page.startswith("# A title\n\nComputed with mpobench 0.1.0; jax 0.9.2, 0.10.0. ")
    assert "Objectives from mpobench 0.1.0, stranger 2.0." in page
    assert "mpobench run tla.toml" in page


def test_a_spec_with_a_bar_stays_in_its_cell() -> None:
    page = Leaderboard.of([cell("dpo:note=a|b", value=1500.0)]).markdown()
    assert r"| `dpo:note=a\|b` |" in page


@pytest.mark.parametrize(
    ("value", "shown"),
    [(123456.7, "123457"), (12.345, "12.3"), (1.2345, "1.23"), (0.012345, "0.0123"), (0.0, "0"), (-0.0, "0")],
)
def test_numbers_have_three_significant_digits(value: float, shown: str) -> None:
    assert row(Leaderboard.of([cell("dpo", value=value)]).markdown(), "dpo") == [shown]


# --- the aggregate ----------------------------------------------------------------------------------------


def test_the_aggregate_counts_only_objectives_that_finished_everything() -> None:
    refused = [cell(name, "bad-judge", 0, status="skipped", reason="no") for name in ("dpo", "ipo", "cpo")]
    results = [
        *cells("dpo", 1700 + 22 * 50, 0),
        *cells("dpo", 1700 + 22 * 30, 0, "mixed"),
        *cells("ipo", 3000, 5),
        *cells("cpo", 3000, 5),
        cell("cpo", "mixed", 0, status="skipped", reason="no"),
        *refused,
    ]
    (section,) = standings(results)
    (aggregate,) = overall(section)  # a column that everyone skips is not held against anyone
    assert aggregate.row.objective == "dpo"
    assert aggregate.iqm
    assert aggregate.iqm.value == pytest.approx(40.0)
    assert aggregate.n == 4
    assert (
        "Left out, because not all of their cells finished: `cpo`, `ipo`."
        in Leaderboard.of(results).markdown()
    )


def test_without_a_normalised_score_there_is_no_aggregate() -> None:
    page = Leaderboard.of([cell("dpo", metrics={"return": 5.0})]).markdown()
    assert "interquartile" not in page


# --- configurations ---------------------------------------------------------------------------------------


def configured(rate: float, **changes: Any) -> list[CellResult]:
    return [
        cell("dpo", seed=seed, config={"training": {"learning_rate": rate, "seed": seed}}, **changes)
        for seed in range(2)
    ]


def test_two_configurations_are_two_rows_and_never_one_mean() -> None:
    slow = [r.model_copy(update={"key": f"slow-{r.seed}"}) for r in configured(1e-05, value=1000.0)]
    # Each configuration left a record of the same refusal.
    skipped = [cell("dpo", "mixed", status="skipped", reason="no", key=key) for key in ("fast", "slow")]
    page = Leaderboard.of([*configured(0.001, value=2000.0), *slow, *skipped]).markdown()
    assert "[^1]: 0 of 1 seed finished; 1 skipped: `no`" in page
    assert row(page, "dpo` (`training.learning_rate=0.001") == ["**<u>2000 ± 0</u>**", "skipped[^1]"]
    assert row(page, "dpo` (`training.learning_rate=1e-05") == ["1000 ± 0", "skipped[^1]"]


def test_configurations_may_differ_between_corruptions() -> None:
    tuned = configured(1e-05, corruption="mixed", value=1000.0)
    page = Leaderboard.of([*configured(0.001, value=2000.0), *tuned]).markdown()
    assert row(page, "dpo") == ["**<u>2000 ± 0</u>**", "**<u>1000 ± 0</u>**"]


def test_two_results_for_one_place_are_refused() -> None:
    with pytest.raises(
        RequestError, match=r"two results for dpo on base, seed 0 \(cells a and b\): move one"
    ):
        Leaderboard.of([cell("dpo", key="b"), cell("dpo", key="a")]).markdown()


def test_results_ranked_by_different_metrics_are_refused() -> None:
    other = cell("ipo", metrics={"win_rate": 0.5}, primary="win_rate", unit="%")
    with pytest.raises(RequestError, match=r"ranked by return \(return\) and win_rate \(%\)"):
        Leaderboard.of([cell("dpo"), other]).markdown()


# --- purity -----------------------------------------------------------------------------------------------

matrices = st.lists(
    st.builds(
        cell,
        objective=st.sampled_from(["dpo", "ipo:tau=0.1", "1s-mpo", "tampo:beta=2,schedule=sigmoid"]),
        corruption=st.sampled_from(["base", "mixed", "noisy:0.1", "noisy:0.25"]),
        seed=st.integers(0, 4),
        env=st.sampled_from(["tla", "hopper"]),
        scale=st.sampled_from(["paper", "quick"]),
        origin=st.sampled_from(["human", "ours", "discovered"]),
        status=st.sampled_from(["ok", "ok", "ok", "skipped", "diverged", "error"]),
        reason=st.sampled_from(["no pairs", "loss is nan", "`boom` | \x1b[31m"]),
        value=st.sampled_from([1000.0, 1000.1, 0.1, 0.2, 0.3, -5.0, 1e7]),
    ),
    max_size=25,
    unique_by=lambda result: result.key,
)


@settings(deadline=None, max_examples=40)
@given(results=matrices, data=st.data())
def test_the_order_of_the_results_does_not_matter(results: list[CellResult], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(results))
    page = Leaderboard.of(results).markdown()
    assert page == Leaderboard.of(shuffled).markdown()
    assert Leaderboard.of(results).terminal() == Leaderboard.of(shuffled).terminal()
    for result in results:
        assert f"`{result.objective}`" in page
    assert ("[^1]: " in page) == any(result.status != "ok" for result in results)


@settings(deadline=None, max_examples=60)
@given(results=matrices)
def test_marks_by_overlap_follow_their_definition(results: list[CellResult]) -> None:
    for section in standings(results):
        for column in section.columns:
            marked = best(section, column, rule="overlap")
            assert len(marked) <= 2
            competing = [
                row
                for row in section.rows
                if column in row.entries
                and row.entries[column].finished
                and not row.entries[column].unfinished
            ]
            assert bool(marked) == bool(competing)
            estimates = [row.estimate(column) for row in competing]
            largest = max((estimate.n for estimate in estimates if estimate), default=0)
            for row_ in competing:
                mine, top = row_.estimate(column), marked[0].estimate(column)
                assert mine is not None
                assert top is not None
                assert mine.mean <= top.mean or (mine.n == 1 < largest)


def test_the_terminal_shows_the_same_without_html(table_1: list[CellResult]) -> None:
    lost = cell("cpo", seed=2, status="diverged", reason="loss is nan")
    text = Leaderboard.of([*table_1, lost]).terminal(best="overlap")
    assert re.search(r"^sft +3287 ± 62 +_2049 ± 33_$", text, re.M)
    assert re.search(r"^evolved-3 +\*\*3931 ± 69\*\* +\*\*3417 ± 82\*\*$", text, re.M)
    assert "3450 ± 55 [1]" in text
    assert "[1] 2 of 3 seeds finished; 1 diverged: loss is nan" in text
    assert not re.search(r"<u>|`|^#", text, re.M)
