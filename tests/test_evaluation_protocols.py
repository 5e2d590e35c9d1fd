"""Two evaluators of the same policies: which of the paper's differences are better acting, which less noise alone."""

from __future__ import annotations

import numpy as np
import pytest
from paper_samples import published, runs
from scipy import stats

from mpobench.comparison.compare import compare
from mpobench.comparison.comparison_page import comparison_page
from mpobench.comparison.evaluation_protocols import KINDS, EvaluationProtocols, evaluation_protocols
from mpobench.comparison.reference import reference
from mpobench.results.cell_result import CellResult

PAPER = reference()
OWN, AGENTS = PAPER.evaluation_protocols
BASE = {  # by the paper: simpo 3683, cpo 3450, sft 3287, orpo 3087, rdpo 2606, kto 1534
    name: {OWN: own, AGENTS: agents}
    for name, own, agents in [
        ("simpo", 3400.0, 3400.0),  # acts better
        ("cpo", 3400.0, 3001.0),  # less noisily
        ("sft", 3000.0, 3000.0),
        ("kto", 3300.0, 2000.0),  # reversed, whatever it does at the agents' noise
        ("rdpo", 3000.0, 2000.0),  # as good here
        ("orpo", 3500.0, 3500.0),  # not told apart in the paper
    ]
}


def results(spread: float = 30.0, seeds: int = 10) -> list[CellResult]:
    found = []
    for evaluator in (OWN, AGENTS):
        means = {(name, "base"): values[evaluator] for name, values in BASE.items()}
        found += runs(means, spread, seeds, env="tla:std=learned", evaluator=evaluator, scale="paper")
    return found


def side_by_side(found: list[CellResult]) -> EvaluationProtocols:
    (both,) = evaluation_protocols(compare(found, PAPER), PAPER)
    return both


def test_differences_from_cloning_are_told_by_kind() -> None:
    both = side_by_side(results())
    told = {(each.better, each.worse): each.kind for each in both.differences}
    assert told["simpo", "sft"] == "acts better"
    assert told["cpo", "sft"] == "only less noisy"
    assert told["sft", "kto"] == "reversed"
    assert told["sft", "rdpo"] == "undecided"


def test_only_differences_that_the_paper_shows_are_told() -> None:
    both = side_by_side(results())
    table = PAPER.tables["tla"]
    told = {(each.better, each.worse) for each in both.differences}
    for pair in told:
        better, worse = (table[name, "base"] for name in pair)
        z = (better.mean - worse.mean) / np.hypot(better.standard_error, worse.standard_error)
        assert 2 * stats.norm.sf(z) < 0.055  # the interval is drawn
    assert not {("orpo", "sft"), ("sft", "orpo")} & told  # 200 ± 328


def test_the_counts_are_of_all_differences() -> None:
    both = side_by_side(results())
    counts = both.count("base")
    assert tuple(counts) == KINDS
    assert sum(counts.values()) == len(both.differences) > len(BASE)


def test_a_single_seed_decides_nothing() -> None:
    both = side_by_side(results(seeds=1))
    assert {each.kind for each in both.differences} == {"undecided"}


def test_a_lead_that_the_agents_noise_leaves_unclear_is_undecided() -> None:
    means = {(name, "base"): value for name, value in [("cpo", 3200.0), ("sft", 3000.0)]}
    found = [
        result
        for evaluator, spread in ((OWN, 30.0), (AGENTS, 900.0))
        for result in runs(means, spread, env="tla:std=learned", evaluator=evaluator)
    ]
    assert [each.kind for each in side_by_side(found).differences] == ["undecided"]


def test_one_protocol_alone_has_no_block() -> None:
    alone = list(runs(published(), env="tla"))
    comparisons = compare(alone, PAPER)
    assert evaluation_protocols(comparisons, PAPER) == ()
    assert "less noisily" not in comparison_page(comparisons, PAPER)


def test_the_page_shows_each_difference_from_cloning() -> None:
    found = results()
    page = comparison_page(compare(found, PAPER), PAPER)
    assert "## `tla:std=learned`, paper scale: acting better, or less noisily" in page
    (line,) = [
        line for line in page.splitlines() if line.startswith("| `base`") and "only less noisy" in line
    ]
    assert "400 (" in line
    assert "cpo" in line
    assert page == comparison_page(compare(found[::-1], PAPER), PAPER)


@pytest.mark.parametrize("stds", [(0.1, 0.25), (None, 0.25)])
def test_the_std_of_the_policies_is_beside_them(stds: tuple[float | None, float]) -> None:
    found = []
    for name, std in zip(("cpo", "sft"), stds, strict=True):
        for evaluator in (OWN, AGENTS):
            for result in runs({(name, "base"): 3000.0}, env="tla:std=learned", evaluator=evaluator):
                metrics = result.metrics if std is None else {**result.metrics, "std": std}
                found.append(result.model_copy(update={"metrics": metrics}))
    page = comparison_page(compare(found, PAPER), PAPER)
    assert ("-0.150" in page) == (stds[0] is not None)
