"""The paper's claims, decided where it is known what they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paper_samples import published, runs
from test_comparison import page_of

from mpobench.comparison.claims import CLAIMS, COLUMNS, HAND_WRITTEN, TAMPO, Claim, Part
from mpobench.comparison.compare import compare
from mpobench.comparison.means import Drawn, Means, Position, own_means, published_means, rows_by_paper
from mpobench.comparison.reference import reference
from mpobench.comparison.terms import (
    Mean,
    average,
    difference,
    evaluate,
    largest,
    percent,
    percent_above,
    positions,
    smallest,
)
from mpobench.comparison.verdicts import Decision, Verdict, decide
from mpobench.leaderboard.standings import standings

PAPER = reference()
SFT, SIMPO, SLIC, LPO, STEPS, LEARNED, TAMPO_LEADS, DISCOVERED = CLAIMS


def of_the_paper(changes: Mapping[Position, float] | None = None, error: float | None = None) -> Means:
    """The paper's means, some of them others, with its standard errors or another one."""
    table = {
        position: type(cell)(
            (changes or {}).get(position, cell.mean), cell.standard_error if error is None else error
        )
        for position, cell in PAPER.tables["tla"].items()
    }
    return published_means(table, 2000)


def verdict(
    claim: Claim, changes: Mapping[Position, float] | None = None, error: float | None = 5.0
) -> Verdict:
    return decide(claim, of_the_paper(changes, error))


# --- terms ------------------------------------------------------------------------------------------------


@given(values=st.lists(st.integers(-9, 9), min_size=4, max_size=4))
def test_terms_are_arithmetic_on_every_draw(values: list[int]) -> None:
    names = "abcd"
    means = {
        (name, "base"): Drawn(np.array([value, value + 1.0]), 5)
        for name, value in zip(names, values, strict=True)
    }
    a, b, c, d = (Mean(name, "base") for name in names)
    w, x, y, z = values
    assert list(evaluate(average([a, b, c, d]), means)) == [sum(values) / 4, sum(values) / 4 + 1]
    assert list(evaluate(largest([a, b, c]), means)) == [max(w, x, y), max(w, x, y) + 1]
    assert list(evaluate(smallest([a, b, c]), means)) == [min(w, x, y), min(w, x, y) + 1]
    assert list(evaluate(difference(a, d), means)) == [w - z] * 2
    share = 50 * ((w > x) + (y > z))
    assert list(evaluate(percent_above([(a, b), (c, d)]), means)) == [share] * 2
    expected = [100 * first / second if second > 0 else np.nan for first, second in ((w, x), (w + 1, x + 1))]
    np.testing.assert_allclose(evaluate(percent(a, b), means), expected)
    assert set(positions(difference(average([a, b]), c))) == {("a", "base"), ("b", "base"), ("c", "base")}


# --- on the paper's own table -----------------------------------------------------------------------------


def test_the_eight_claims_on_the_papers_own_numbers() -> None:
    """By hand: the standard error of slic − rrhf over the columns is 215, of simpo − ipo on base 90, and so on."""
    decided = [decide(claim, of_the_paper()) for claim in CLAIMS]
    assert [each.decision for each in decided] == [
        "holds",  # 18 points
        "undecided",  # SimPO's lead on base is 65 ± 90
        "holds",
        "holds",  # 30 of 36
        "holds",
        "holds",
        "undecided",  # 97 % of SFT on noisy:0.3
        "undecided",  # 107 above LPO on noisy:0.1
    ]
    values = {each.claim.title: each.parts[0].quantity for each in decided}
    slic = values[SLIC.title]
    assert slic is not None
    assert slic.interval is not None
    assert slic.value == pytest.approx((3255 - 2789 + 2478 - 2245 + 2329 - 1730 + 1135 - 330) / 4)
    error = np.sqrt(np.sum(np.square([66, 285, 54, 134, 289, 442, 224, 552]))) / 4
    assert slic.interval.low == pytest.approx(slic.value - 1.96 * error, abs=20)
    assert slic.interval.high == pytest.approx(slic.value + 1.96 * error, abs=20)
    sft = values[SFT.title]
    assert sft is not None
    kept = [2000 / 3450, 1953 / 3087, 2049 / 3287]
    assert sft.value == pytest.approx(100 * (np.mean(kept) - 1519 / 3528))
    lpo = values[LPO.title]
    assert lpo is not None
    assert lpo.value == pytest.approx(100 * 30 / 36)
    assert values[STEPS.title].value == pytest.approx((368 + 623 + 425 + 234) / 4)  # type: ignore[union-attr]
    assert values[LEARNED.title].value == pytest.approx((474 - 89 + 417 + 300) / 4)  # type: ignore[union-attr]


def test_ours_with_the_papers_means_decide_as_the_paper_with_small_errors() -> None:
    (section,) = standings(runs(published(), spread=15))
    rows, _ = rows_by_paper(section, "tla", PAPER)
    ours = own_means(rows, section.columns, 2000)
    assert {decide(claim, ours).decision for claim in CLAIMS} == {"holds"}
    (compared,) = compare(runs(published(), spread=15), PAPER)
    assert [mine.decision for _, mine in compared.verdicts] == [
        decide(claim, ours).decision for claim in CLAIMS
    ]


# --- where it is known ------------------------------------------------------------------------------------

SCORES: list[tuple[Claim, dict[Position, float], Decision]] = [
    (SFT, {}, "holds"),
    (SFT, {("dpo", "noisy:0.3"): 3400}, "fails"),
    (SFT, {("dpo", "noisy:0.3"): 3528 * np.mean([2000 / 3450, 1953 / 3087, 2049 / 3287])}, "undecided"),
    (SFT, {("dpo", "base"): -100}, "undecided"),
    (SIMPO, {}, "holds"),
    (SIMPO, {("simpo", "base"): 3618}, "undecided"),
    (SIMPO, {("simpo", "mixed"): 2000}, "fails"),
    (SIMPO, {("simpo", "noisy:0.3"): 1000}, "fails"),
    (SLIC, {}, "holds"),
    (SLIC, {("rrhf", column): 4000 for column in COLUMNS}, "fails"),
    (SLIC, {("rrhf", c): PAPER.tables["tla"]["slic", c].mean for c in COLUMNS}, "undecided"),
    (LPO, {}, "holds"),
    (LPO, {("lpo", column): -9000 for column in COLUMNS}, "fails"),
    (LPO, {("lpo", "mixed"): -9000, ("lpo", "noisy:0.3"): -9000}, "undecided"),
    (STEPS, {}, "holds"),
    (STEPS, {("2s-mpo[g=learned,discovered=mixed]", "mixed"): 9000}, "fails"),
    (LEARNED, {}, "holds"),
    (LEARNED, {("1s-mpo[g=logsigmoid,discovered=mixed]", "mixed"): 9000}, "fails"),
    (TAMPO_LEADS, {}, "holds"),
    (TAMPO_LEADS, {(TAMPO, "mixed"): 0.95 * 3117}, "undecided"),
    (TAMPO_LEADS, {(TAMPO, "mixed"): 0.9 * 3117}, "fails"),
    (DISCOVERED, {}, "holds"),
    (DISCOVERED, {("lpo", "noisy:0.1"): 4500}, "fails"),
    (DISCOVERED, {("lpo", "noisy:0.1"): 3724}, "undecided"),
]


@pytest.mark.parametrize(("claim", "changes", "decision"), SCORES)
def test_claims_are_decided_where_the_truth_is_known(
    claim: Claim, changes: dict[Position, float], decision: Decision
) -> None:
    assert verdict(claim, changes).decision == decision


def test_large_errors_decide_nothing() -> None:
    assert {verdict(claim, error=3000.0).decision for claim in CLAIMS} == {"undecided"}


@given(parts=st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=4))
def test_a_claim_of_parts_holds_if_all_do_and_fails_if_one_does(parts: list[float]) -> None:
    spread = np.linspace(-0.5, 0.5, 501)
    means = {
        (str(at), "base"): Drawn(np.concatenate([[value], value + spread]), None)
        for at, value in enumerate(parts)
    }
    claim = Claim("", "", "", tuple(Part("", Mean(str(at), "base")) for at in range(len(parts))))
    decided = decide(claim, means)
    assert [part.decision for part in decided.parts] == [
        {-1.0: "fails", 0.0: "undecided", 1.0: "holds"}[value] for value in parts
    ]
    assert decided.decision == ("fails" if -1.0 in parts else "undecided" if 0.0 in parts else "holds")


def test_one_seed_decides_nothing() -> None:
    (compared,) = compare(runs(published(), seeds=1), PAPER)
    assert {mine.decision for _, mine in compared.verdicts} == {"undecided"}


# --- what is missing --------------------------------------------------------------------------------------


def test_what_is_missing_is_named() -> None:
    means = {position: mean for position, mean in published().items() if position[0] not in ("rrhf", TAMPO)}
    del means["slic", "mixed"]
    (section,) = standings(runs(means))
    rows, _ = rows_by_paper(section, "tla", PAPER)
    ours = own_means(rows, section.columns, 100)
    slic = decide(SLIC, ours)
    assert (slic.decision, slic.parts) == ("not run", ())
    assert set(slic.missing) == {("slic", "mixed"), *(("rrhf", column) for column in COLUMNS)}
    page = page_of(list(runs(means)))
    expected = "**not run**: no `rrhf` on `base`, `mixed`, `noisy:0.1`, `noisy:0.3`; `slic` on `mixed` |"
    assert expected in " ".join(page.split())


def test_the_page_shows_both_and_defines_all() -> None:
    page = page_of(list(runs(published(), spread=15)))
    (line,) = (line for line in page.splitlines() if line.startswith("| 3. SLiC above RRHF"))
    theirs, mine = (text.strip() for text in line.strip("|").split("|")[1:3])
    assert theirs.startswith("**holds**: 526 (")
    assert mine.startswith("**holds**: 526 (5")
    for at, claim in enumerate(CLAIMS, start=1):
        assert f"{at}. *{claim.title}.* {claim.says} Measured: {claim.measured}" in page


def test_claims_need_nothing_that_the_paper_does_not_have() -> None:
    there = set(PAPER.tables["tla"])
    for claim in CLAIMS:
        assert {position for part in claim.parts for position in positions(part.measured)} <= there, (
            claim.title
        )
    assert {(name, column) for name in HAND_WRITTEN for column in COLUMNS} <= there


def test_hopper_has_no_claims() -> None:
    (compared,) = compare(runs(published("hopper"), env="hopper"), PAPER)
    assert compared.verdicts == ()
    assert "Claims" not in page_of(list(runs(published("hopper"), env="hopper")))
