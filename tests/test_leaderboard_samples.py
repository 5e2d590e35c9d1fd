"""Samples of what policies did: below their table, prompt by prompt, the same whatever the order of the results."""

from __future__ import annotations

import random

from test_leaderboard import cell

from mpobench import Sample
from mpobench.leaderboard.page import Leaderboard
from mpobench.results.cell_result import CellResult


def results() -> list[CellResult]:
    return [
        cell(
            objective,
            corruption,
            seed,
            samples=(
                Sample("What is *the* moon?", f"{objective}|{seed}\n`rock`", 66.66),
                Sample("Why?", "because", 0),
            ),
        )
        for objective in ("dpo", "sft")
        for corruption in ("base", "noisy:0.3")
        for seed in (1, 2)
    ]


def test_samples_of_the_lowest_seed_stand_side_by_side() -> None:
    page = Leaderboard.of(results()).markdown()
    lines = [line for line in page.splitlines() if "66.7" in line]
    assert [[text.strip(" `") for text in line.split("|")[1:3]] for line in lines] == [
        [objective, corruption] for objective in ("dpo", "sft") for corruption in ("base", "noisy:0.3")
    ]
    assert "dpo\\|1 'rock'" in page
    assert "dpo\\|2" not in page
    assert page.index("`What is *the* moon?`") < page.index("`Why?`")


def test_the_order_of_results_changes_nothing() -> None:
    shuffled = results()
    random.Random(3).shuffle(shuffled)
    assert Leaderboard.of(shuffled).markdown() == Leaderboard.of(results()).markdown()


def test_a_terminal_and_results_without_samples_have_none() -> None:
    assert "because" not in Leaderboard.of(results()).terminal()
    assert "Samples" not in Leaderboard.of([cell("dpo")]).markdown()
    assert "samples" not in cell("dpo").to_json().decode()
