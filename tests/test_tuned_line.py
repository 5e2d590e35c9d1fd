"""The line of a table that says which of its values are tuned, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bandits_installed import bandits_in_turn
from in_process import installed, invoke
from test_leaderboard import cell
from tuning_samples import entry

from mpobench.leaderboard.page import Leaderboard
from mpobench.planning.tuned_file import TunedEntry, TunedFile
from mpobench.results.cell_result import CellResult

SCORED = "in 8 trials at smoke scale, scored by `payoff` on seeds 1000 to 1003"


def trained(
    objective: str, seed: int = 0, *, beta: float = 0.3, rate: float = 0.01, **changes: Any
) -> CellResult:
    config = {"objective": {"name": objective, "fields": {"beta": beta}}, "training": {"learning_rate": rate}}
    return cell(objective, seed=seed, config=config, **changes)


def tuned(**fields: Any) -> TunedEntry:
    return entry(**{"env": "tla", "fields": {"beta": 0.3}, "training": {"learning_rate": 0.01}, **fields})


def line_of(results: list[CellResult], *tunings: TunedEntry) -> str:
    """The block between the caption and the table; "" if the table follows at once."""
    _, _, after = Leaderboard.of(results, tunings).markdown().partition("is better; ")
    block = after.split("\n\n")[1]
    return "" if block.startswith("|") else block


def test_cells_with_the_tuned_values_are_counted_and_the_search_is_stated() -> None:
    own = [trained("dpo", seed) for seed in (0, 1)]
    assert line_of(own, tuned()) == (
        "Tuned for each objective and corruption: `beta` of the objective and `learning_rate` of the training, "
        f"{SCORED}. 2 of 2 cells were trained with them."
    )


@pytest.mark.parametrize("changed", [{"beta": 0.4}, {"rate": 0.02}])
def test_cells_with_other_values_and_without_an_entry_are_counted_apart(changed: dict[str, float]) -> None:
    results = [trained("dpo"), trained("dpo", 1, **changed), trained("ipo"), trained("sft")]
    line = line_of(results, tuned(), tuned(objective="sft", fields={}, training={}))
    assert line.endswith("1 of 4 cells were trained with them, 1 with other values; for 2 nothing was tuned.")


@pytest.mark.parametrize(
    "elsewhere", [{"env": "hopper"}, {"corruption": "mixed"}, {"objective": "ipo"}, {"fields": {"beta": 0.4}}]
)
def test_nothing_is_said_of_a_table_without_tuned_cells(elsewhere: dict[str, Any]) -> None:
    assert line_of([trained("dpo")], tuned(**elsewhere)) == ""


def test_a_row_takes_its_own_entry_before_that_of_the_name() -> None:
    stated = trained("dpo:kind=a", beta=0.7)
    of_name = tuned(fields={"beta": 0.7})
    assert "1 of 1 cells" in line_of([stated], of_name)
    assert line_of([stated], of_name, tuned(objective="dpo:kind=a")) == ""


def test_what_was_tuned_on_another_corruption_is_counted() -> None:
    results = [trained("dpo"), trained("dpo", 1), trained("dpo", corruption="mixed")]
    wide = tuned(corruption="mixed", everywhere=True)
    assert line_of(results, wide) == (
        "Tuned for each objective on `mixed`: `beta` of the objective and `learning_rate` of the training, "
        f"{SCORED}. 3 of 3 cells were trained with them, 2 of these on other corruptions."
    )
    own = line_of([*results, trained("dpo", corruption="noisy:0.1")], wide, tuned())
    assert own.startswith("Tuned for each objective on `base`, `mixed`: ")
    assert own.endswith("4 of 4 cells were trained with them, 1 of these on other corruptions.")


def test_an_own_entry_of_the_name_counts_before_one_that_counts_everywhere() -> None:
    row = "dpo:kind=a"
    wide = tuned(objective=row, corruption="mixed", everywhere=True)
    own = tuned(fields={"beta": 0.7})
    assert "1 of 1 cells" in line_of([trained(row)], wide)
    assert line_of([trained(row)], wide, own) == ""
    assert "1 of 1 cells" in line_of([trained(row, beta=0.7)], wide, own)


def test_different_searches_are_named_apart() -> None:
    other = tuned(objective="ipo", trials=64, evaluator="return", fields={}, training={"learning_rate": 0.01})
    line = line_of([trained("dpo"), trained("ipo")], tuned(), other)
    assert f"`learning_rate` of the training, {SCORED}; " in line
    assert "`learning_rate` of the training, in 64 trials at smoke scale, scored by `return` on seeds" in line


def test_terminal_and_notebook_say_it_too() -> None:
    board = Leaderboard.of([trained("dpo")], [tuned()])
    assert "in 8 trials at smoke scale, scored by payoff" in board.terminal()
    assert (
        "<p>Tuned for each objective and corruption: beta of the objective and learning_rate" in board.html()
    )


def run(folder: Path, *options: str) -> Path:
    """The results folder of a run of ``dpo`` on the bandit."""
    results = folder / "results"
    suite = ("--envs", "bandit", "--objectives", "dpo", "--scale", "smoke", "--launcher", "in-turn")
    with installed(bandits_in_turn()), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPOBENCH_CACHE", str(folder / "cache"))
        done = invoke("run", *suite, "--results", str(results), *options)
    assert done.returncode == 0, done.stderr
    return results


def test_a_run_with_tuned_values_says_so_and_its_page_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "tuned.toml"
    TunedFile(tuned=(entry(fields={"beta": 0.77}, training={"learning_rate": 0.123}),)).write(file)
    results = run(tmp_path, "--tuned", str(file))
    page = results / "leaderboard.md"
    assert "1 of 1 cells were trained with them." in page.read_text()
    options = ("leaderboard", "--results", str(results), "--output", str(page), "--check")
    assert invoke(*options, "--tuned", str(file)).returncode == 0
    assert invoke(*options).returncode == 1


def test_a_tuned_file_that_no_cell_was_trained_with_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "tuned.toml"
    TunedFile(tuned=(entry(fields={"beta": 0.77}),)).write(file)
    results = run(tmp_path)
    done = invoke("leaderboard", "--results", str(results), "--tuned", str(file))
    assert done.returncode == 0
    warning = f"mpobench: warning: no cell of {results} was trained with the values of {file}\n"
    assert done.stderr == warning
