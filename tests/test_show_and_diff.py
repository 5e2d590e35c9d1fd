"""``mpobench show`` and ``mpobench diff``."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from bandits_installed import bandits_in_turn
from hypothesis import given
from hypothesis import strategies as st
from in_process import installed, invoke
from lab import Lab

from mpobench.display.quantities import read_size, size_text, sparkline
from mpobench.errors import RequestError
from mpobench.results.disagreements import disagreements
from mpobench.results.store import ResultStore, read_results, write_jsonl


@pytest.fixture(scope="module", autouse=True)
def _bandits_are_installed() -> Iterator[None]:
    with installed(bandits_in_turn()):
        yield


def shown(lab: Lab, *args: str) -> str:
    done = invoke("show", *args, "--results", str(lab.store.folder))
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(lab: Lab, *args: str) -> str:
    done = invoke("show", *args, "--results", str(lab.store.folder))
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_a_cell_is_shown_in_full(lab: Lab) -> None:
    lab.run("dpo:beta=0.3", corruptions="noisy:0.25")
    (cell,) = lab.store.load_all()
    text = shown(lab, cell.key[:8])
    assert text.startswith(
        f"{cell.key}: dpo:beta=0.3 on bandit noisy:0.25, payoff, seed 0, smoke scale\nok\n"
    )
    assert f"payoff  {cell.metrics['payoff']:.6g}  per pull" in text
    curve = cell.curves["loss"]
    assert f"{curve[0]:.5g}" in text
    assert f"{curve[-1]:.5g}" in text
    assert "objective.fields.beta" in text
    assert "training.learning_rate" in text
    assert f"mpobench verify {lab.store.folder} --cell {cell.key}" in text
    assert json.loads(shown(lab, cell.key, "--json")) == json.loads(cell.to_json())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"training": {"learning_rate": 0.25, "epochs": 3}, "corruptions": "mixed+noisy:0.2"},
        {"evaluators": "payoff:2", "seeds": 2, "envs": "bandit:noise=0.25"},
        {"objectives": "tampo:schedule=sigmoid,beta=2,gamma=0.5", "scale": "quick"},
    ],
)
def test_the_command_that_is_shown_makes_the_cell_again(lab: Lab, fields: dict[str, object]) -> None:
    lab.run(**{"objectives": "dpo:beta=0.3", **fields})  # type: ignore[arg-type]
    for cell in lab.store.load_all():
        (line,) = (each for each in shown(lab, cell.key).splitlines() if each.startswith("mpobench run"))
        done = invoke(*shlex.split(line)[1:], "--dry-run")
        assert done.returncode == 0, done.stderr
        assert cell.key in done.stdout


def test_the_command_states_what_was_tuned(lab: Lab, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.toml"
    tuned.write_text(
        'format = "mpobench-tuned/1"\n[[tuned]]\nenv = "bandit"\ncorruption = "base"\nobjective = "dpo"\n'
        'scale = "smoke"\nevaluator = "payoff"\nscore = 1.0\ntrials = 8\ntrainings = 8\n'
        'tuning_seeds = "1000"\nheld_out_seeds = "2000"\ndataset = "x"\nmpobench = "0.1.0"\n'
        "[tuned.fields]\nbeta = 0.77\n[tuned.training]\nlearning_rate = 0.123\n"
    )
    lab.run("dpo", tuned=tuned)
    (cell,) = lab.store.load_all()
    (line,) = (each for each in shown(lab, cell.key).splitlines() if each.startswith("mpobench run"))
    assert "--objectives dpo:beta=0.77 " in line
    assert line.endswith("--training learning_rate=0.123")
    assert cell.key in invoke(*shlex.split(line)[1:], "--dry-run").stdout


def test_a_cell_is_found_by_its_place(lab: Lab) -> None:
    lab.run("sft,dpo", seeds=2)
    assert ": dpo on bandit base, payoff, seed 1, " in shown(lab, "--objective", "dpo", "--seed", "1")
    many = refused(lab, "--objective", "dpo")
    assert "has 2 cells with objective dpo: say more (" in many
    none = refused(lab, "--objective", "orpo")
    assert "has no cell with objective orpo (there is objective dpo, sft)" in none
    assert "no cell was named" in refused(lab)
    assert "has no cell whose key begins with 'xyz'" in refused(lab, "xyz")


def test_what_did_not_finish_is_shown_too(lab: Lab) -> None:
    lab.run("raises,nan")
    text = shown(lab, "--objective", "raises")
    assert "\nerror: KeyError: 'no\\nsuch thing'\n" in text
    assert "mpobench verify" not in text
    assert "diverged: the loss is not finite" in shown(lab, "--objective", "nan")


def test_curves_of_words_and_curves_of_nothing_are_shown(lab: Lab, tmp_path: Path) -> None:
    lab.run("sft")
    (cell,) = lab.store.load_all()
    curves = {"stage": ["sft", "po"], "loss": [1.5, None], "none": []}
    write_jsonl([cell.model_copy(update={"curves": curves})], tmp_path / "odd.jsonl")
    done = invoke("show", cell.key, "--results", str(tmp_path / "odd.jsonl"))
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    for row in (["stage", "sft", "po"], ["loss", "1.5", "not", "finite", "▁×"], ["none"]):
        assert row in rows


def test_a_cell_of_a_plugin_that_is_not_here_is_shown(lab: Lab, tmp_path: Path) -> None:
    lab.run("sft")
    (cell,) = lab.store.load_all()
    file = tmp_path / "other.jsonl"
    config = {**cell.config, "objective": {**cell.config["objective"], "name": "newest"}}
    write_jsonl([cell.model_copy(update={"objective": "newest", "config": config})], file)
    done = invoke("show", cell.key, "--results", str(file))
    assert done.returncode == 0
    assert "cannot be made again here: unknown objective 'newest'" in done.stdout


@given(st.lists(st.floats() | st.none(), min_size=1, max_size=50))
def test_a_sparkline_has_a_sign_for_each_value(values: list[float | None]) -> None:
    line = sparkline(values)
    assert len(line) == len(values)
    finite = [value for value in values if value is not None and math.isfinite(value)]
    for value, sign in zip(values, line, strict=True):
        assert (sign == "×") == (value is None or not math.isfinite(value))
        if finite and value == min(finite):
            assert sign == "▁"


def test_a_sparkline_rises_with_its_values() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8]) == "▁▂▃▄▅▆▇██"
    assert sparkline([3.0, 3.0]) == "▁▁"


@given(st.integers(0, 10**15))
def test_a_size_is_read_as_it_is_written(size: int) -> None:
    assert read_size(size_text(size)) == pytest.approx(size, rel=0.05)


def test_sizes_are_read_as_people_write_them() -> None:
    assert [read_size(text) for text in ("5GB", "1.5 g", "500mb", "12", "3 kB")] == [
        5 * 10**9,
        15 * 10**8,
        5 * 10**8,
        12,
        3000,
    ]
    for text in ("", "GB", "-1GB", "1PB", "1e3"):
        with pytest.raises(RequestError, match="is not a size"):
            read_size(text)


def test_a_folder_agrees_with_itself(lab: Lab) -> None:
    lab.run("sft,dpo,nan", seeds=2)
    file = lab.store.folder.parent / "same.jsonl"
    write_jsonl(lab.store.load_all(), file)
    done = invoke("diff", str(lab.store.folder), str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert "6 cells are the same in both; they agree" in done.stderr


def test_what_is_damaged_in_both_does_not_agree(lab: Lab, tmp_path: Path) -> None:
    lab.run("sft,dpo")
    whole = tmp_path / "whole.jsonl"
    write_jsonl(lab.store.load_all(), whole)
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for file in files:
        file.write_bytes(whole.read_bytes() + b'{"format": "mpobench-ce\n')
    done = invoke("diff", *map(str, files))
    assert done.returncode == 1
    *warnings, verdict = done.stderr.splitlines()
    assert [line.partition(" is truncated")[0] for line in warnings] == [
        f"mpobench: warning: {file}, line 3" for file in files
    ]
    assert verdict == (
        "mpobench: 2 cells are the same in both; they agree in what could be read: 2 damaged results were not compared"
    )
    assert invoke("diff", str(whole), str(files[0])).returncode == 1


def test_each_kind_of_disagreement_is_told(lab: Lab, tmp_path: Path) -> None:
    lab.run("sft,dpo,orpo", seeds=2)
    ours = lab.store.load_all()
    other = ResultStore(tmp_path / "other")
    by_place = {(each.objective, each.seed): each for each in ours}
    changed = by_place["sft", 0].model_copy(update={"metrics": {"payoff": 0.123}})
    failed = by_place["sft", 1].model_copy(update={"status": "diverged", "reason": "too far"})
    for result in (changed, failed, by_place["dpo", 0]):
        other.save(result)
    second = Lab(tmp_path / "second", lab.registry)
    second.run("orpo", training={"epochs": 2})
    other.save(second.store.load_all()[0])
    done = invoke("diff", str(lab.store.folder), str(other.folder))
    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    assert "2 cells with another outcome:" in text
    value = by_place["sft", 0].metrics["payoff"]
    assert f"sft on bandit base, payoff, seed 0 payoff {value:.8g} 0.123" in text
    assert "sft on bandit base, payoff, seed 1 status ok diverged: too far" in text
    assert "1 training.epochs 4 2" in text
    assert f"2 cells only in {lab.store.folder}:" in text
    assert "dpo on bandit base, payoff, seed 1" in text
    assert "1 cells are the same in both; they disagree" in done.stderr
    reverse = disagreements(read_results(other.folder), ours)
    assert (len(reverse.only_first), len(reverse.only_second)) == (0, 2)


def test_cells_of_one_configuration_and_other_keys_are_compared(lab: Lab) -> None:
    lab.run("sft")
    (cell,) = lab.store.load_all()
    again = cell.model_copy(update={"key": cell.key[::-1]})
    same = disagreements([cell], [again])
    assert (same.same, same.agree) == (1, True)
    for change in ({"status": "diverged", "reason": "too far"}, {"metrics": {"payoff": 0.123}}):
        other = disagreements([cell], [again.model_copy(update=change)])
        assert (other.same, other.agree, len(other.outcomes)) == (0, False, 1)
    skipped = cell.model_copy(update={"status": "skipped", "reason": "no lever", "config": {}})
    other = disagreements([skipped], [again.model_copy(update=vars(skipped) | {"reason": "no arm"})])
    assert not other.agree


def test_small_differences_are_up_to_the_tolerance(lab: Lab, tmp_path: Path) -> None:
    lab.run("sft")
    (cell,) = lab.store.load_all()
    file = tmp_path / "near.jsonl"
    near = {name: value * 1.001 for name, value in cell.metrics.items()}
    write_jsonl([cell.model_copy(update={"metrics": near})], file)
    args = ("diff", str(lab.store.folder), str(file))
    assert (invoke(*args).returncode, invoke(*args, "--tolerance", "0.01").returncode) == (1, 0)
    assert invoke("diff", str(lab.store.folder), str(tmp_path / "none")).returncode == 2
