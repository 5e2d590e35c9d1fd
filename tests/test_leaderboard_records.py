"""What else the records hold, below their table: properties of the data, and the other metrics."""

from __future__ import annotations

import random

from test_leaderboard import cell

from mpobench.leaderboard.page import Leaderboard
from mpobench.results.cell_result import CellResult


def results() -> list[CellResult]:
    """Two seeds, whose datasets the two objectives share; one metric of the others is the same everywhere."""
    return [
        cell(
            objective,
            corruption,
            seed,
            dataset_key=f"{corruption}{seed}".replace(":", "_"),
            dataset={"wrong labels, %": wrong + seed, "distance | nats": 25.0},
            metrics={"return": 1000.0, "return-1000": best + 10 * seed, "std": 0.3},
        )
        for objective, best in (("dpo", 2000.0), ("sft", 3000.0))
        for corruption, wrong in (("base", 0.5), ("noisy:0.3", 30.0))
        for seed in (0, 1)
    ]


def rows(text: str, label: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith(f"| {label}")]
    return [[part.strip() for part in line.replace("\\|", "/").split("|")[2:-1]] for line in lines]


def test_each_dataset_counts_once() -> None:
    page = Leaderboard.of(results()).markdown()
    assert rows(page, "wrong labels, %") == [["1", "30.5"]]
    assert rows(page, "distance") == [["25", "25"]]


def test_the_other_metrics_have_folded_tables_unless_nothing_tells_them_apart() -> None:
    page = Leaderboard.of(results()).markdown()
    assert page.count("<details>") == 1
    folded = page[page.index("<summary>return-1000</summary>") : page.index("</details>")]
    assert rows(folded, "`sft`") == [["3005 ± 5", "3005 ± 5"]]
    assert rows(folded, "`dpo`") == [["2005 ± 5", "2005 ± 5"]]


def test_survivors_have_no_number_in_the_folded_tables() -> None:
    lost = cell("dpo", "base", 2, status="diverged", reason="the loss is not finite")
    page = Leaderboard.of([*results(), lost]).markdown()
    folded = page[page.index("<summary>return-1000</summary>") : page.index("</details>")]
    assert rows(folded, "`dpo`") == [["–", "2005 ± 5"]]


def test_a_metrics_name_cannot_be_markup() -> None:
    wild = [cell("dpo", seed=seed, metrics={"return": 1.0, "<b>|": float(seed)}) for seed in (0, 1)] + [
        cell("sft", seed=seed, metrics={"return": 1.0, "<b>|": 7.0}) for seed in (0, 1)
    ]
    assert "<summary>&lt;b&gt;|</summary>" in Leaderboard.of(wild).markdown()


def test_the_terminal_shows_the_data_alone() -> None:
    shown = Leaderboard.of(results()).terminal()
    assert "wrong labels, %" in shown
    assert "return-1000" not in shown


def test_the_order_of_results_changes_nothing() -> None:
    shuffled = results()
    random.Random(3).shuffle(shuffled)
    assert Leaderboard.of(shuffled).markdown() == Leaderboard.of(results()).markdown()


def test_records_without_properties_of_the_data_do_not_mention_them() -> None:
    assert "dataset" not in cell("dpo").to_json().decode().replace("dataset_key", "")
    assert "The data" not in Leaderboard.of([cell("dpo")]).markdown()


def test_counts_are_written_whole() -> None:
    counted = [cell("dpo", seed=seed, dataset={"pairs kept": 6998.0, "tiny": 0.01234}) for seed in (0, 1)]
    page = Leaderboard.of(counted).markdown()
    assert rows(page, "pairs kept") == [["6998"]]
    assert rows(page, "tiny") == [["0.0123"]]


def test_revisions_on_a_hub_are_on_the_page() -> None:
    config = {
        "dataset": {
            "model": {"name": "google/gemma-7b", "revision": "a" * 40},
            "dataset": {"train.jsonl": "digest", "name": "is a file"},
            "pairs": 512,
        }
    }
    page = Leaderboard.of([cell("dpo", config=config), cell("sft", config=config)]).markdown()
    assert f"Revisions on the hub: model `google/gemma-7b` at `{'a' * 40}`." in page
    assert "Revisions" not in Leaderboard.of([cell("dpo")]).markdown()
    assert "a" * 40 in Leaderboard.of([cell("dpo", config=config)]).terminal()


def test_a_row_of_another_minibatch_than_most_is_marked() -> None:
    many = [
        cell(objective, seed=seed, pairs_per_update=pairs)
        for objective, pairs in (("dpo", 2), ("sft", 2), ("kto", 16))
        for seed in (0, 1)
    ]
    note = "updates of 16 pairs, where most rows have 2"
    for shown, mark in (
        (Leaderboard.of(many).markdown(), "`kto`[^1]"),
        (Leaderboard.of(many).terminal(), "kto [1]"),
    ):
        assert shown.count(note) == 1
        assert mark in shown, shown
        assert "sft [" not in shown
        assert "`sft`[" not in shown
    silent = [cell("dpo"), cell("kto", pairs_per_update=16)]
    assert "updates of 16 pairs: see" in Leaderboard.of(silent).markdown(), "records that do not say"
    assert "updates of" not in Leaderboard.of(many[:4]).markdown()


def test_records_say_a_minibatch_where_there_is_one() -> None:
    assert "pairs_per_update" not in cell("dpo").to_json().decode()
    assert '"pairs_per_update":16' in cell("kto", pairs_per_update=16).to_json().decode()


def trained(objective: str, seed: int = 0, corruption: str = "base", **training: object) -> CellResult:
    return cell(objective, seed=seed, corruption=corruption, config={"training": training})


def test_what_trainings_have_in_common_is_on_the_page() -> None:
    made = [
        trained("sft", seed=seed, corruption=corruption, epochs=12, stride=3, rate=rate)
        for seed in (0, 1)
        for corruption, rate in (("base", 0.1), ("mixed", 0.2))
    ]
    made += [trained("dpo", po_epochs=2, stride=3, schedule="linear"), trained("ipo", po_epochs=2, stride=3)]
    lines = [
        line
        for line in Leaderboard.of(made).markdown().splitlines()
        if line.startswith("Training configuration")
    ]
    assert lines == [
        "Training configuration of all rows: `stride=3`; `dpo`, `ipo`: `po_epochs=2`; `sft`: `epochs=12`; "
        '`dpo`: `schedule="linear"`.'
    ]
    assert "Training configuration" not in Leaderboard.of([cell("dpo")]).markdown()
    diverged = made[-1].model_copy(update={"status": "diverged", "config": {"training": {"stride": 5}}})
    assert "all rows" not in Leaderboard.of([*made[:-1], diverged]).markdown(), "it was trained otherwise"


def test_a_field_that_tells_the_variants_of_a_row_apart_is_in_none_or_one_of_them() -> None:
    page = Leaderboard.of([trained("sft", epochs=12), trained("sft", seed=1, epochs=3)]).markdown()
    assert "Training configuration" not in page
    page = Leaderboard.of([trained("sft", epochs=12), trained("sft", seed=1, epochs=12, stride=3)]).markdown()
    assert "all rows: `epochs=12`; `sft` (`training.stride=3`): `stride=3`." in page
