"""``mpobench verify``: honest files pass, invented numbers and edited records do not."""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bandits_installed import bandits_in_turn
from bench import INTERRUPTIBLE, wait_until
from hypothesis import assume, given
from hypothesis import strategies as st
from in_process import installed, invoke
from lab import Lab
from processes import environment, program

import mpobench
from mpobench.files.keys import KEY_VERSION, content_key
from mpobench.planning.recorded import key_problem
from mpobench.results.cell_result import CellResult
from mpobench.results.store import read_results, write_jsonl
from mpobench.verification.tolerance import Spreads

LEADERBOARDS = sorted(Path(__file__).parents[1].glob("leaderboards/*.jsonl"))

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module", autouse=True)
def _bandits_are_installed() -> Iterator[None]:
    with installed(bandits_in_turn()):
        yield


@pytest.fixture(autouse=True)
def _cache(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPOBENCH_CACHE", str(lab.cache))


def published(lab: Lab, *objectives: str, **fields: Any) -> Path:
    lab.run(",".join(objectives or ("sft", "dpo:beta=0.3")), **fields)
    file = lab.store.folder.parent / "published.jsonl"
    write_jsonl(lab.store.load_all(), file)
    lab.work()
    return file


def edited(file: Path, edit: Edit, lines: slice = slice(None)) -> Path:
    """A copy of a file in which records were changed."""
    records = [json.loads(line) for line in file.read_text().splitlines()]
    for record in records[lines]:
        edit(record)
    copied = file.with_name("edited.jsonl")
    copied.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return copied


def verify(file: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return invoke("verify", str(file), "--launcher", "in-turn", *args)


def rekey(record: dict[str, Any]) -> None:
    """Makes the keys of a record follow from its configuration, as its forger would."""
    config, seed = record["config"], record["seed"]
    env = content_key({"identity": config["env"], "config": config["dataset"]})
    dataset = content_key(
        [content_key({"version": KEY_VERSION, "env": env, "corruption": config["corruption"]}), seed]
    )
    recipe = content_key({"objective": config["objective"], "config": config["training"]})
    training = content_key([dataset, recipe, seed])
    score = content_key({"identity": config["evaluator"], "config": config["evaluation"]})
    record.update(dataset_key=dataset, training_key=training, key=content_key([training, score]))


def test_honest_cells_are_the_same_and_only_the_sample_is_computed(lab: Lab) -> None:
    file = published(
        lab, seeds=3, corruptions="base,mixed+noisy:0.2", training={"learning_rate": 0.31, "epochs": 3}
    )
    done = verify(file, "--sample", "4", "--seed", "5")
    assert done.returncode == 0, done.stderr
    assert sum(name.startswith("train") for name in lab.work().elements()) == 4
    header, *rows = done.stdout.splitlines()
    assert header.split()[:3] == ["cell", "of", "metric"]
    assert len(rows) == 4
    assert all(row.endswith("same") for row in rows)
    assert "the keys of 12 cells follow from their configurations" in done.stderr
    assert "4 of 4 cells are confirmed" in done.stderr
    assert "primary metrics are off by +0.00 of that on average, where ±0.50 is allowed" in done.stderr
    again = verify(file, "--sample", "4", "--seed", "5")
    assert again.stdout == done.stdout
    assert lab.work().total() >= 4, "a finished verification leaves nothing behind"
    assert verify(file, "--sample", "4", "--seed", "6").stdout != done.stdout


def test_the_seed_that_is_printed_chooses_the_same_cells(lab: Lab) -> None:
    file = published(lab, seeds=8)
    first = verify(file, "--sample", "3")
    (seed,) = re.findall(r"--seed (\d+)", first.stderr)
    assert verify(file, "--sample", "3", "--seed", seed).stdout == first.stdout


def test_an_invented_number_is_found(lab: Lab) -> None:
    file = published(lab, seeds=6)
    spread = Spreads(read_results(file)).spread(read_results(file)[0], "payoff")

    def better(record: dict[str, Any]) -> None:
        record["metrics"]["payoff"] += 0.06 + 4 * spread

    done = verify(edited(file, better, slice(0, 1)), "--cell", read_results(file)[0].key)
    assert done.returncode == 1
    assert done.stdout.splitlines()[1].endswith("differs")
    assert "0 of 1 cells are confirmed" in done.stderr


def test_numbers_that_are_all_a_little_too_good_are_found_by_many_cells(lab: Lab) -> None:
    file = published(lab, "sft", "dpo", "orpo", seeds=6)
    payoffs: dict[str, list[float]] = {}
    for result in read_results(file):
        payoffs.setdefault(result.objective, []).append(result.metrics["payoff"])
    shift = {name: float(np.std(values, ddof=1)) for name, values in payoffs.items()}
    better = edited(
        file,
        lambda record: record["metrics"].update(
            payoff=record["metrics"]["payoff"] + shift[record["objective"]]
        ),
    )
    wide = ("--tolerance", "0", "--seed", "1")
    few, many = verify(better, *wide, "--sample", "2"), verify(better, *wide, "--sample", "18")
    assert (few.returncode, many.returncode) == (0, 1)
    assert "18 of 18 cells are confirmed" in many.stderr
    assert (
        "off by -0.34 of that on average, where ±0.24 is allowed: the published numbers differ" in many.stderr
    )
    assert "differ as a whole" not in few.stderr


def test_a_metric_that_is_left_out_or_added_is_found(lab: Lab) -> None:
    file = published(lab)
    added = verify(edited(file, lambda record: record["metrics"].update(extra=1.0)), "--sample", "1")
    assert added.returncode == 1
    assert re.search(r"  extra  +1  +none  .*  differs$", added.stdout, re.M)
    left_out = edited(
        file, lambda record: record.update(metrics={"other": 1.0}, primary="other"), slice(0, 1)
    )
    missing = verify(left_out, "--cell", read_results(file)[0].key)
    assert missing.returncode == 1
    assert re.search(r"  payoff  +none  .*  differs$", missing.stdout, re.M)


def test_values_that_tuning_found_are_those_of_the_record(lab: Lab, tmp_path: Path) -> None:
    tuned = tmp_path / "tuned.toml"
    tuned.write_text(
        'format = "mpobench-tuned/1"\n[[tuned]]\nenv = "bandit"\ncorruption = "base"\nobjective = "dpo"\n'
        'scale = "smoke"\nevaluator = "payoff"\nscore = 1.0\ntrials = 8\ntrainings = 8\n'
        'tuning_seeds = "1000"\nheld_out_seeds = "2000"\ndataset = "x"\nmpobench = "0.1.0"\n'
        "[tuned.fields]\nbeta = 0.77\n[tuned.training]\nlearning_rate = 0.123\n"
    )
    done = verify(published(lab, "dpo", "dpo:beta=0.1", tuned=tuned), "--sample", "9")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("same") == 2


def test_a_divergence_is_confirmed_and_an_invented_one_is_found(lab: Lab) -> None:
    file = published(lab, "nan", "sft")
    done = verify(file, "--sample", "2")
    assert done.returncode == 0, done.stderr
    assert "diverged, as published" in done.stdout
    (nan,) = (result for result in read_results(file) if result.objective == "nan")

    def invent(record: dict[str, Any]) -> None:
        record.update(status="ok", reason="", metrics={"payoff": 1.0}, primary="payoff")

    forged = edited(file, lambda record: invent(record) if record["objective"] == "nan" else None)
    done = verify(forged, "--cell", nan.key[:10])
    assert done.returncode == 1
    assert "differs: published 'ok', here 'diverged': the loss is not finite in epoch 1" in done.stdout


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda record: record["config"]["training"].update(epochs=9), "its training_key"),
        (lambda record: record["config"]["dataset"].update(pairs=9), "its dataset_key"),
        (lambda record: record["config"]["evaluation"].update(episodes=9), "its key"),
        (lambda record: record.update(seed=record["seed"] + 50), "its dataset_key"),
        (lambda record: record.update(objective="orpo"), "it is named objective 'orpo'"),
        (lambda record: record.update(objective="dpo:beta=0.4"), "it is named objective 'dpo:beta=0.4'"),
        (lambda record: record.update(corruption="noisy:0.3"), "it is named corruption 'noisy:0.3'"),
        (lambda record: record["config"].pop("training"), "its configuration has no 'training'"),
        (lambda record: record["config"].update(env="bandit"), "its dataset_key"),
        (lambda record: record.update(key="0" * 24), "it is there twice"),
    ],
)
def test_a_file_whose_keys_do_not_follow_is_refused(lab: Lab, edit: Edit, problem: str) -> None:
    file = edited(published(lab, "dpo:beta=0.3", seeds=2), edit)
    done = verify(file)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"mpobench: error: {file} is refused: the cell ")
    assert problem in line if "twice" not in problem else "does not follow" in line
    assert lab.work() == {}


def test_a_cell_that_is_there_twice_is_refused(lab: Lab) -> None:
    file = published(lab, "sft")
    file.write_text(file.read_text() * 2)
    done = verify(file)
    assert (done.returncode, "it is there twice" in done.stderr) == (2, True)


RECORD = json.loads(LEADERBOARDS[-1].read_text().splitlines()[0])


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    else:
        yield path


@given(st.sampled_from(list(leaves(RECORD["config"]))), st.sampled_from([0.123, "other", None, True, [1]]))
def test_no_value_of_a_configuration_can_be_changed_unnoticed(path: tuple[str, ...], value: Any) -> None:
    record = copy.deepcopy(RECORD)
    place = record["config"]
    for name in path[:-1]:
        place = place[name]
    assume(json.dumps(value) != json.dumps(place[path[-1]]))
    place[path[-1]] = value
    assert key_problem(CellResult.model_validate(record))


@pytest.mark.parametrize("file", LEADERBOARDS, ids=lambda file: file.stem)
def test_the_keys_of_published_leaderboards_follow_from_their_configurations(file: Path) -> None:
    results = read_results(file)
    assert results
    assert [problem for result in results if (problem := key_problem(result))] == []


def test_what_cannot_be_made_again_here_is_said_before_anything_is_computed(lab: Lab) -> None:
    file = published(lab, "sft")

    def another_dataset(record: dict[str, Any]) -> None:
        record["config"]["dataset"]["pairs"] = 9
        rekey(record)

    done = verify(edited(file, another_dataset))
    assert done.returncode == 2
    assert "its dataset.pairs is 9, and what is installed makes it 8; it was made by mpobench" in done.stderr

    def another_plugin(record: dict[str, Any]) -> None:
        record.update(objective="newest", plugin="newest-plugin 3.0")
        record["config"]["objective"]["name"] = "newest"
        rekey(record)

    done = verify(edited(file, another_plugin))
    assert done.returncode == 2
    assert "of newest-plugin 3.0 cannot be made again here: unknown objective 'newest'" in done.stderr
    assert lab.work() == {}


def test_a_row_of_an_objective_file_wants_the_file(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    mpobench.save_objective(path, mpobench.objective("lpo:lam=2"), "lpo", name="mine", summary="X")
    file = published(lab, str(path))
    refused = verify(file)
    assert refused.returncode == 2
    assert "its objective is the objective file 'mine', which is not here: name it with" in refused.stderr
    done = verify(file, "--objective-file", str(path))
    assert done.returncode == 0, done.stderr
    other = tmp_path / "other.json"
    mpobench.save_objective(other, mpobench.objective("lpo:lam=3"), "lpo", name="mine", summary="X")
    done = verify(file, "--objective-file", str(other))
    assert done.returncode == 2
    assert "its objective.fields.lam is 2.0, and what is installed makes it 3.0" in done.stderr


def test_cells_of_one_training_share_it(lab: Lab) -> None:
    file = published(lab, "sft", evaluators="payoff,payoff:2")
    done = verify(file, "--sample", "2")
    assert done.returncode == 0, done.stderr
    assert lab.work() == {"train sft 0": 1}


def test_keys_are_found_by_their_beginnings(lab: Lab) -> None:
    file = published(lab, seeds=4)
    keys = [result.key for result in read_results(file)]
    assert verify(file, "--cell", keys[0], "--cell", keys[1]).stdout.count("same") == 2
    many = verify(file, "--cell", "")
    assert (many.returncode, f"8 cells of {file} begin with ''" in many.stderr) == (2, True)
    none = verify(file, "--cell", "zz")
    assert (none.returncode, "has no cell whose key begins with 'zz'" in none.stderr) == (2, True)


def test_errors_are_never_in_a_sample(lab: Lab) -> None:
    file = published(lab, "sft", "raises")
    assert verify(file, "--sample", "9").stdout.count("same") == 1
    (wrong,) = (result for result in read_results(file) if result.status == "error")
    done = verify(file, "--cell", wrong.key)
    assert (done.returncode, "ended 'error' (KeyError" in done.stderr) == (2, True)


def test_the_spread_is_that_of_the_row_or_pooled_over_the_column(lab: Lab) -> None:
    results = read_results(published(lab, "sft", "dpo", "orpo", seeds=6, scale="quick"))
    spreads = Spreads(results)
    rows = {name: [each for each in results if each.objective == name] for name in ("sft", "dpo", "orpo")}
    for row in rows.values():
        others = [each.metrics["payoff"] for each in row[1:]]
        assert spreads.spread(row[0], "payoff") == pytest.approx(np.std(others, ddof=1))
    few = [*rows["sft"][:4], *rows["dpo"][:2], rows["orpo"][0]]
    first, second = ([each.metrics["payoff"] for each in rows[name][1:4]] for name in ("sft", "dpo"))
    pooled = np.sqrt(
        (2 * np.var(first, ddof=1) + np.var([*second[:1], few[4].metrics["payoff"]], ddof=1)) / 3
    )
    assert Spreads(few).spread(few[0], "payoff") == pytest.approx(pooled)
    assert Spreads(few[-1:]).spread(few[-1], "payoff") == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_an_interrupted_verification_goes_on(lab: Lab, bandit_site: Path) -> None:
    file = published(lab, "sft", "orpo", seeds=3, training={"pause": 0.15})
    args = program(
        "verify", str(file), "--sample", "6", "--seed", "1", "--workers", "1", before=INTERRUPTIBLE
    )
    variables = environment((bandit_site,), lab.cache)
    running = subprocess.Popen(
        args, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    log = lab.cache / "work.log"
    wait_until(lambda: log.exists() and log.read_text().count("train") >= 3)
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate()
    assert (running.returncode, out) == (130, "")
    assert err.splitlines()[-1] == (
        "mpobench: interrupted: finished cells are kept, verifying the same cells goes on from here"
    )
    before = sum(lab.work().values())
    done = subprocess.run(args, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "6 of 6 cells are confirmed" in done.stderr
    after = sum(count for work, count in lab.work().items() if work.startswith("train"))
    assert after <= 6 - (before - 1), "the training in flight alone is done again"
    assert list((lab.cache / "verifications").glob("[!.]*/")) == []
