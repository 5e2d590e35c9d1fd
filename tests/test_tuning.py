"""Tuning: whole tunings of bandits."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tuning_samples import REGISTRY, SMALL, study_of, suite_of, tuned_in, with_toys

from mpobench.errors import MpobenchError, RequestError
from mpobench.planning.plan import plan
from mpobench.planning.suite import Suite
from mpobench.planning.tuned_file import FIRST_HELD_OUT_SEED, FIRST_TUNING_SEED, TunedFile
from mpobench.results.store import ResultStore
from mpobench.tuning.budget import estimate
from mpobench.tuning.budget_file import BudgetFile
from mpobench.tuning.journal import Journal
from mpobench.tuning.settings import DEFAULTS, Tuning
from mpobench.tuning.study import plan_studies
from mpobench.tuning.trial import BATCH, trainings_of_batch


def test_every_objective_has_the_same_budget_on_the_same_seeds(tmp_path: Path) -> None:
    done, _ = tuned_in(tmp_path, REGISTRY, objectives="dpo,sft", corruptions="base,noisy:0.3")
    assert {(entry.trials, entry.trainings) for entry in done.entries} == {
        (16, 2 * trainings_of_batch(SMALL["rungs"]))
    }
    assert len(done.entries) == 4
    seeds = Counter(result.seed for result in ResultStore(tmp_path / "tuning" / "results").load_all())
    assert min(seeds) == FIRST_TUNING_SEED
    assert {seed for seed in seeds if seed < FIRST_HELD_OUT_SEED} == set(range(1000, 1004))
    assert {seed for seed in seeds if seed >= FIRST_HELD_OUT_SEED} == set(range(2000, 2003))


def test_the_outcome_is_what_a_run_with_the_file_trains(tmp_path: Path) -> None:
    done, _ = tuned_in(tmp_path, REGISTRY, objectives="dpo,sft")
    suite = suite_of(objectives="dpo,sft", tuned=done.file)
    made = plan(suite, REGISTRY)
    assert made.notes == ()
    for training, entry in zip(made.trainings, done.entries, strict=True):
        assert training.cells[0].objective == entry.objective
        fields, config = training.config["objective"]["fields"], training.config["training"]
        assert {name: fields[name] for name in entry.fields} == entry.fields
        assert {name: config[name] for name in entry.training} == entry.training
    assert {each.place: each for each in TunedFile.read(done.file).tuned} == {
        each.place: each for each in done.entries
    }


def test_what_was_set_beforehand_is_recorded(tmp_path: Path) -> None:
    done, _ = tuned_in(tmp_path, REGISTRY, {"trials": 8}, objectives="dpo", training={"epochs": 2})
    (entry,) = TunedFile.read(done.file).tuned
    assert entry.fixed == {"epochs": 2}
    assert "epochs" not in entry.training


def test_the_score_is_the_mean_over_the_tuning_seeds_of_the_best_trial(tmp_path: Path) -> None:
    """Independently: the cells of the results folder, by configuration."""
    done, _ = tuned_in(tmp_path, REGISTRY, objectives="sft")
    cells: dict[float, list[tuple[int, float]]] = {}
    for result in ResultStore(tmp_path / "tuning" / "results").load_all():
        rate = result.config["training"]["learning_rate"]
        cells.setdefault(rate, []).append((result.seed, result.metrics["payoff"]))
    tuning = {
        rate: [score for seed, score in found if seed < FIRST_HELD_OUT_SEED] for rate, found in cells.items()
    }
    most = max(map(len, tuning.values()))
    means = {rate: sum(found) / most for rate, found in tuning.items() if len(found) == most}
    (entry,) = done.entries
    assert entry.training == {"learning_rate": max(means, key=lambda rate: means[rate])}
    assert entry.score == pytest.approx(max(means.values()), rel=1e-4)
    held_out = [
        score for seed, score in cells[entry.training["learning_rate"]] if seed >= FIRST_HELD_OUT_SEED
    ]
    assert entry.held_out == pytest.approx(sum(held_out) / len(held_out), rel=1e-4)


def test_the_curve_measures_the_best_of_each_budget_each_once(tmp_path: Path) -> None:
    done, _ = tuned_in(tmp_path, REGISTRY, objectives="simpo")
    (curve,) = done.curves
    assert [point.trials for point in curve.points] == [1, 2, 4, 8, 16]
    assert curve.points[0].trial == 0
    assert all(point.trial < point.trials for point in curve.points)
    for point in curve.points:
        assert len(point.scores) == SMALL["held_out"]
        assert (point.mean, point.standard_error) == estimate(
            [each for each in point.scores if each is not None]
        )[:2]
    configurations = {json.dumps([point.fields, point.training]) for point in curve.points}
    results = ResultStore(tmp_path / "tuning" / "results").load_all()
    assert sum(result.seed >= FIRST_HELD_OUT_SEED for result in results) == 3 * len(configurations)
    assert BudgetFile.read(done.budget).curves == done.curves


def test_intervals_are_those_of_scipy() -> None:
    from scipy import stats

    values = [3.0, 5.0, 4.5, 9.0]
    mean, error, reach = estimate(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=stats.sem(values))
    assert error == pytest.approx(stats.sem(values))
    assert (mean - reach, mean + reach) == pytest.approx((low, high))
    assert estimate([]) == (None, None, None)
    assert estimate([2.0]) == (2.0, None, None)


def test_an_optimum_on_an_edge_is_reported(tmp_path: Path) -> None:
    """The payoff grows with the size of the steps, which are too small throughout."""
    done, _ = tuned_in(
        tmp_path, with_toys(), {"trials": 32}, objectives="greedy", training={"learning_rate": 0.05}
    )
    (entry,) = done.entries
    assert entry.edges == (f"gain = {entry.fields['gain']:g} is at the high end of [0.1, 1] log",)
    assert done.warnings == (f"greedy on bandit base: {entry.edges[0]}: the optimum may lie beyond",)
    assert TunedFile.read(done.file).tuned == (entry,)


def test_what_counts_everywhere_does_so_until_another_one_does(tmp_path: Path) -> None:
    def counting(corruption: str, everywhere: bool) -> tuple[dict[str, bool], tuple[str, ...]]:
        done, _ = tuned_in(tmp_path, REGISTRY, everywhere=everywhere, corruptions=corruption)
        return {each.corruption: each.everywhere for each in TunedFile.read(done.file).tuned}, done.warnings

    assert counting("base", True) == ({"base": True}, ())
    assert counting("base", False) == ({"base": True}, ()), "the same tuning again"
    assert counting("noisy:0.3", False) == ({"base": True, "noisy:0.3": False}, ())
    assert counting("noisy:0.3", True) == (
        {"base": False, "noisy:0.3": True},
        ("dpo on bandit base no longer counts everywhere: what was tuned now does",),
    )


def test_a_loss_that_diverges_is_the_worst_and_no_error(tmp_path: Path) -> None:
    done, _ = tuned_in(tmp_path, REGISTRY, objectives="late-nan,sft")
    assert [entry.objective for entry in done.entries] == ["sft"]
    assert "late-nan on bandit base: every trial diverged" in done.warnings
    nan = next(curve for curve in done.curves if curve.objective == "late-nan")
    assert {(point.mean, point.tuning_score, point.scores) for point in nan.points} == {
        (None, None, (None,) * 3)
    }


def test_another_failure_ends_the_tuning_in_a_line_and_is_tried_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(
            MpobenchError, match="a trial cannot be computed, raises on bandit base, seed 1000: KeyError"
        ):
            tuned_in(tmp_path, REGISTRY, objectives="raises")
    log = (tmp_path / "cache" / "work.log").read_text().splitlines()
    assert log.count("train raises 1000") == 2 * BATCH


def test_the_same_request_answers_from_what_is_there(tmp_path: Path) -> None:
    first, _ = tuned_in(tmp_path, REGISTRY, objectives="dpo,sft")
    text, log = first.file.read_bytes(), tmp_path / "cache" / "work.log"
    trained, journal = log.read_bytes(), (tmp_path / "tuning" / "journal.log").read_bytes()
    second, notes = tuned_in(tmp_path, REGISTRY, objectives="dpo,sft")
    assert (second.file.read_bytes(), log.read_bytes(), notes) == (text, trained, [])
    assert second == first
    assert (tmp_path / "tuning" / "journal.log").read_bytes() == journal


def test_more_trials_go_on_as_if_they_had_been_asked_for_at_once(tmp_path: Path) -> None:
    for trials in (8, 16):
        parts, _ = tuned_in(tmp_path / "parts", REGISTRY, {"trials": trials}, objectives="simpo")
    whole, _ = tuned_in(tmp_path / "whole", REGISTRY, objectives="simpo")
    assert parts.file.read_bytes() == whole.file.read_bytes()
    again, _ = tuned_in(tmp_path / "whole", REGISTRY, {"trials": 8}, objectives="simpo")
    assert {entry.trials for entry in again.entries} == {8}, "fewer are the first of them"


def test_studies_do_not_depend_on_their_company(tmp_path: Path) -> None:
    """One folder, tuned objective by objective, is the folder of both at once."""
    for objective in ("dpo", "simpo"):
        apart, _ = tuned_in(tmp_path / "apart", REGISTRY, objectives=objective)
    together, _ = tuned_in(tmp_path / "together", REGISTRY, objectives="simpo,dpo")
    assert apart.file.read_bytes() == together.file.read_bytes()
    assert apart.budget.read_bytes() == together.budget.read_bytes()


def test_a_batch_that_was_cut_off_in_the_journal_goes_on(tmp_path: Path) -> None:
    whole, _ = tuned_in(tmp_path, REGISTRY, objectives="dpo")
    text, journal = whole.file.read_bytes(), tmp_path / "tuning" / "journal.log"
    lines = journal.read_bytes().splitlines(keepends=True)
    for kept in (1, 4, 9, len(lines) - 1):
        journal.write_bytes(b"".join(lines[:kept]) + lines[kept][: len(lines[kept]) // 2])
        again, _ = tuned_in(tmp_path, REGISTRY, objectives="dpo")
        assert again.file.read_bytes() == text
        (study,) = plan_studies(suite_of(), Tuning.of(SMALL, "smoke"), REGISTRY).studies
        assert len(Journal(tmp_path / "tuning").trials(study.name)) == SMALL["trials"]


@pytest.mark.parametrize("damage", [b"nonsense\n", b'{"op_code": 4}\n', b"[]\n"])
def test_a_damaged_journal_is_refused_in_a_line(tmp_path: Path, damage: bytes) -> None:
    tuned_in(tmp_path, REGISTRY, {"trials": 8}, objectives="sft")
    journal = tmp_path / "tuning" / "journal.log"
    journal.write_bytes(damage + journal.read_bytes())
    with pytest.raises(RequestError, match=r"journal\.log is damaged: delete it"):
        tuned_in(tmp_path, REGISTRY, {"trials": 8}, objectives="sft")
    journal.unlink()
    assert len(tuned_in(tmp_path, REGISTRY, {"trials": 8}, objectives="sft")[0].entries) == 1


def test_policies_of_trials_are_not_kept(tmp_path: Path) -> None:
    tuned_in(tmp_path, REGISTRY, {"trials": 8}, objectives="dpo")
    assert not list((tmp_path / "tuning" / "results" / "policies").glob("[!.]*"))


def test_other_defaults_are_another_study() -> None:
    study = study_of("dpo")
    assert study.key == study_of("dpo").key
    others = [
        study_of("dpo:beta=0.1"),
        study_of("dpo", corruptions="noisy:0.1"),
        study_of("dpo", scale="quick"),
        study_of("dpo", training={"epochs": 2}),
        study_of("simpo"),
        study_of("dpo", evaluators="payoff:2"),
    ]
    assert len({study.key, *(other.key for other in others)}) == 1 + len(others)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"trials": 12}, "trials=12: input should be a multiple of 8"),
        ({"trials": 0}, "trials=0"),
        ({"rungs": ["3", "1"]}, "[3, 1] do not rise from 1 to at most 1000: try 1,3,9"),
        ({"rungs": (0, 1)}, "do not rise"),
        ({"rungs": (1, 1001)}, "do not rise from 1 to at most 1000"),
        ({"rungs": ["1", "x"]}, "rungs.1='x'"),
        ({"held_out": 1}, "held_out=1: input should be greater than or equal to 2"),
        ({"held_out": 1001}, "held_out=1001"),
    ],
)
def test_wrong_budgets(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        Tuning.of(wrong, "quick")
    assert message in str(caught.value)


@pytest.mark.parametrize("scale", DEFAULTS)
def test_seeds_of_tuning_are_disjoint_from_all_others(scale: Any) -> None:
    tuning = Tuning.of({}, scale)
    assert len(tuning.tuning_seeds) == tuning.rungs[-1]
    assert tuning.tuning_seeds[0] == FIRST_TUNING_SEED
    assert tuning.tuning_seeds[-1] < FIRST_HELD_OUT_SEED <= tuning.held_out_seeds[0]
    reported = Suite.of({"objectives": "dpo", "scale": scale, "tuned": "t"}).seed_count
    assert reported <= FIRST_TUNING_SEED
